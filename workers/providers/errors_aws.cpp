// What AWS's own errors call for. Source: botocore's service model of bedrock-runtime, the Bedrock
// user guide's error codes.
#include "workers/providers/error_words.hpp"

namespace spillway {

using namespace error_words;

namespace {

constexpr error_rule table[] = {
    // Quota. A daily one is held until the day is over, see the adapter.
    {aws, 429, 429, "ModelNotReadyException", "", "", R, 0},
    {aws, 429, 429, "ModelErrorException", "", "", R | S, 0},
    {aws, 400, 499, "ServiceQuotaExceededException", "", "", R | Q | S, 0},

    // Credentials: a newer one may do.
    {aws, 400, 403, "ExpiredTokenException", "", "", A | S, firm | stale},
    {aws, 400, 403, "ExpiredToken", "", "", A | S, firm | stale},
    {aws, 400, 403, "RequestExpired", "", "", A | S, firm | stale},
    {aws, 400, 403, "InvalidToken", "", "", A | S, firm | stale},
    {aws, 400, 403, "UnrecognizedClientException", "", "", A | S, firm | stale},
    {aws, 400, 403, "InvalidClientTokenId", "", "", A | S, firm | stale},
    {aws, 400, 403, "InvalidAccessKeyId", "", "", A | S, firm | stale},
    {aws, 400, 403, "InvalidSignatureException", "", "", A | S, firm | stale},
    {aws, 400, 403, "SignatureDoesNotMatch", "", "", A | S, firm | stale},
    {aws, 400, 403, "IncompleteSignature", "", "", A | S, firm | stale},
    {aws, 400, 403, "IncompleteSignatureException", "", "", A | S, firm | stale},
    {aws, 400, 403, "MissingAuthenticationToken", "", "", A | S, firm | stale},
    {aws, 400, 403, "MissingAuthenticationTokenException", "", "", A | S, firm | stale},
    {aws, 400, 403, "RequestTimeTooSkewed", "", "", A | S, firm | stale},
    {aws, 400, 403, "AuthFailure", "", "", A | S, firm | stale},
    {aws, 403, 403, "", "", "token has expired", A | S, firm | stale},
    {aws, 403, 403, "", "", "API Key is valid", A | S, firm | stale},
    {aws, 400, 400, "ValidationException", "", "operation not allowed", A | S, firm},

    // Money.
    {aws, 403, 403, "AccessDeniedException", "", "INVALID_PAYMENT_INSTRUMENT", B | S, firm},

    // This model, here.
    {aws, 403, 403, "AccessDeniedException", "", "", C | S, firm},
    {aws, 404, 404, "ResourceNotFoundException", "", "", C | S, firm},
    {aws, 400, 400, "ValidationException", "", "on-demand throughput*supported", C | S, firm},
    {aws, 400, 400, "ValidationException", "", "model identifier is invalid", C | S, firm},

    // What this lane can't do, while others may: "This model doesn't support tool use."
    {aws, 400, 400, "ValidationException", "", "model doesn*t support", S | D, firm},
    {aws, 400, 400, "ValidationException", "", "input is too long", S | D, firm},
    {aws, 400, 400, "ValidationException", "", "prompt is too long", S | D, firm},
    {aws, 400, 400, "ValidationException", "", "too many input tokens", S | D, firm},
    {aws, 400, 400, "ValidationException", "", "exceed context limit", S | D, firm},
    {aws, 400, 400, "ValidationException", "", "exceeds the model limit", S | D, firm},

    // The model's own trouble, with the status it gave.
    {aws, 408, 408, "ModelTimeoutException", "", "", R | S, counts | doubt | once},
    {aws, 400, 400, "ModelErrorException", "", "", D, firm},
    {aws, 424, 424, "", "", "", R, counts},
    {aws, 529, 529, "", "", "", R | H | S, counts},

    // Inside an answer.
    {aws, 200, 200, "malformed_model_output", "", "", R | S, counts | once},
    {aws, 200, 200, "malformed_tool_use", "", "", R | S, counts | once},
};

}  // namespace

std::span<const error_rule> aws_error_rules() { return table; }

}  // namespace spillway
