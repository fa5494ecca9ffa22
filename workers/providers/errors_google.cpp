// Google's rows. `code` is the status in words, or the finish reason of an answer that is none.
#include "workers/providers/error_words.hpp"

namespace spillway {

using namespace error_words;

namespace {

constexpr error_rule table[] = {
    // Money and accounts. ErrorInfo's reason decides, whatever the status.
    {google, 400, 499, "BILLING_DISABLED", "", "", B | S, firm},
    {google, 400, 499, "CONSUMER_INVALID", "", "", A | S, firm},
    {google, 400, 499, "CONSUMER_SUSPENDED", "", "", A | S, firm},
    {google, 400, 499, "SERVICE_DISABLED", "", "", A | S, firm},
    {google, 400, 499, "ACCESS_TOKEN_EXPIRED", "", "", A | S, firm | stale},
    {google, 400, 499, "API_KEY_INVALID", "", "", A | S, firm},
    {google, 403, 403, "", "", "billing to be enabled", B | S, firm},

    {google, 401, 401, "", "", "", A | S, firm | stale},
    {google, 403, 403, "PERMISSION_DENIED", "", "", A | S, firm},
    {google, 404, 404, "", "", "", C | S, firm},

    // Too long for this model; another lane's window may be larger.
    {google, 400, 400, "INVALID_ARGUMENT", "", "exceeds the maximum number of tokens", S | D, firm},
    {google, 400, 400, "INVALID_ARGUMENT", "", "token count*exceeds", S | D, firm},
    {google, 400, 400, "INVALID_ARGUMENT", "", "payload size exceeds", S | D, firm},
    // A model or location that is not for this project.
    {google, 400, 400, "FAILED_PRECONDITION", "", "", C | S, firm},
    {google, 400, 400, "INVALID_ARGUMENT", "", "", D, form},
    {google, 400, 400, "OUT_OF_RANGE", "", "", D, 0},

    {google, 429, 429, "RESOURCE_EXHAUSTED", "", "", R | Q | S, 0},
    {google, 409, 409, "ABORTED", "", "", R | S, counts},
    {google, 499, 499, "CANCELLED", "", "", R | S, counts | doubt | once},
    {google, 504, 504, "DEADLINE_EXCEEDED", "", "", R | H | S, counts | doubt | once},

    // The model slipped, inside an answer of status 200.
    {google, 200, 200, "MALFORMED_FUNCTION_CALL", "", "", R | S, counts | once},
    {google, 200, 200, "MALFORMED_RESPONSE", "", "", R | S, counts | once},
    {google, 200, 200, "UNEXPECTED_TOOL_CALL", "", "", R | S, counts | once},
    {google, 200, 200, "TOO_MANY_TOOL_CALLS", "", "", R | S, counts | once},
    {google, 200, 200, "FINISH_REASON_UNSPECIFIED", "", "", R | S, counts | once},
    {google, 200, 200, "OTHER", "", "", R | S, counts | once},
};

}  // namespace

std::span<const error_rule> google_error_rules() { return table; }

}  // namespace spillway
