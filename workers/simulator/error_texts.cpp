#include "workers/simulator/error_texts.hpp"

#include "workers/simulator/reply.hpp"

namespace spillway::simulated {
namespace {

constexpr usual_error openai_errors[] = {
    {400, "invalid_request_error", "", "Invalid request."},
    {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sim-***."},
    {403, "invalid_request_error", "unsupported_country_region_territory",
     "Country, region, or territory not supported"},
    {404, "invalid_request_error", "model_not_found",
     "The model does not exist or you do not have access to it."},
    {429, "requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."},
    {500, "server_error", "",
     "The server had an error while processing your request. Sorry about that!"},
    {502, "server_error", "bad_gateway", "Bad gateway."},
    {503, "server_error", "server_is_overloaded",
     "Our servers are currently overloaded. Please try again later."},
    {504, "server_error", "", "The server took too long to answer."}};
constexpr usual_error azure_errors[] = {
    {400, "", "BadRequest", "The request is invalid."},
    {401, "", "401",
     "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
     "valid key for an active subscription and use a correct regional API endpoint for your "
     "resource."},
    {403, "", "403", "Access denied due to Virtual Network/Firewall rules."},
    {404, "", "DeploymentNotFound",
     "The API deployment for this resource does not exist. If you created the deployment within "
     "the last 5 minutes, please wait a moment and try again."},
    {408, "", "Timeout", "The operation was timeout."},
    {429, "", "429", "Requests have exceeded the call rate limit. Please retry later."},
    {500, "", "InternalServerError", "The server had an error while processing your request."},
    {503, "", "ServiceUnavailable", "The service is temporarily unable to process your request."}};
constexpr usual_error compatible_errors[] = {
    {400, "BadRequestError", "", "The request is invalid."},
    {404, "NotFoundError", "", "The model does not exist."},
    {429, "RateLimitError", "", "Too many requests."},
    {500, "InternalServerError", "", "Internal server error"},
    {503, "ServiceUnavailableError", "", "The server is overloaded."}};
// Types as AWS names them; the texts are those of Bedrock's runtime.
constexpr usual_error aws_errors[] = {
    {400, "", "ValidationException", "The provided request is not valid."},
    {403, "", "AccessDeniedException",
     "You don't have access to the model with the specified model ID."},
    {404, "", "ResourceNotFoundException",
     "Could not resolve the foundation model from the provided model identifier."},
    {408, "", "ModelTimeoutException",
     "Model has timed out in processing the request. Try your request again."},
    {413, "", "RequestEntityTooLargeException", "Request Entity Too Large"},
    {424, "", "ModelErrorException",
     "The system encountered an unexpected error during processing. Try your request again."},
    {429, "", "ThrottlingException", "Too many requests, please wait before trying again."},
    {500, "", "InternalServerException",
     "The system encountered an unexpected error during processing. Try your request again."},
    {503, "", "ServiceUnavailableException",
     "Bedrock is unable to process your request. Please try again later."}};
constexpr usual_error mantle_errors[] = {
    {400, "invalid_request_error", "validation_error", "The provided request is not valid."},
    {401, "authentication_error", "invalid_api_key", "Invalid bearer token"},
    {403, "permission_error", "access_denied", "Access denied"},
    {404, "invalid_request_error", "model_not_found", "The model does not exist."},
    {429, "rate_limit_error", "rate_limit_exceeded",
     "Too many requests, please wait before trying again."},
    {500, "server_error", "internal_server_error", "Internal server error"},
    {503, "server_error", "service_unavailable", "Service temporarily unavailable"}};
constexpr usual_error google_errors[] = {
    {400, "", "INVALID_ARGUMENT", "Request contains an invalid argument."},
    {401, "", "UNAUTHENTICATED",
     "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
     "or other valid authentication credential. See "
     "https://developers.google.com/identity/sign-in/web/devconsole-project."},
    {403, "", "PERMISSION_DENIED",
     "Permission 'aiplatform.endpoints.predict' denied on resource (or it may not exist)."},
    {404, "", "NOT_FOUND",
     "Publisher Model was not found or your project does not have access to it."},
    {429, "", "RESOURCE_EXHAUSTED",
     "Resource exhausted. Please try again later. Please refer to "
     "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."},
    {499, "", "CANCELLED", "The operation was cancelled."},
    {500, "", "INTERNAL", "Internal error encountered."},
    {503, "", "UNAVAILABLE", "The service is currently unavailable."},
    {504, "", "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."}};
constexpr usual_error anthropic_errors[] = {
    {400, "invalid_request_error", "", "The request is invalid."},
    {401, "authentication_error", "", "invalid x-api-key"},
    {402, "billing_error", "", "Your credit balance is too low to access the Anthropic API."},
    {403, "permission_error", "",
     "Your API key does not have permission to use the specified resource."},
    {404, "not_found_error", "", "The requested resource could not be found."},
    {413, "request_too_large", "", "Request exceeds the maximum size"},
    {429, "rate_limit_error", "",
     "This request would exceed your organization's rate limit. Please try again later."},
    {500, "api_error", "", "Internal server error"},
    {504, "timeout_error", "", "The request timed out."},
    {529, "overloaded_error", "", "Overloaded"}};

template <std::size_t N>
usual_error find(const usual_error (&table)[N], int status) {
  for (const auto& e : table)
    if (e.status == status) return e;
  usual_error nearest = table[status < 500 ? 0 : N - 1];
  for (const auto& e : table)
    if (status >= 500 && e.status == 500) nearest = e;
  nearest.status = status;
  nearest.message = reason_phrase(status);
  return nearest;
}

}  // namespace

usual_error usual_error_of(wire_form form, int status) {
  switch (form) {
    case wire_form::openai: return find(openai_errors, status);
    case wire_form::azure: return find(azure_errors, status);
    case wire_form::compatible: return find(compatible_errors, status);
    case wire_form::aws: return find(aws_errors, status);
    case wire_form::mantle: return find(mantle_errors, status);
    case wire_form::google:
    case wire_form::google_list: return find(google_errors, status);
    case wire_form::anthropic: return find(anthropic_errors, status);
  }
  return find(openai_errors, status);
}

}  // namespace spillway::simulated
