#include "orchestrator/runtime/json_string.hpp"
#include "workers/simulator/error_texts.hpp"
#include "workers/simulator/json_text.hpp"
#include "workers/simulator/reply_frame.hpp"

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;

/// An error with its texts decided.
struct worded_error {
  int status;
  std::string_view type, code, message, param, reason;
  std::optional<duration> retry_after;
};

worded_error word(wire_form form, const error_reply& e) {
  const usual_error known = usual_error_of(form, e.status);
  // Texts of a fault of its own replace the usual ones as a whole: a usual code beside another
  // message would be a lie.
  const bool own = !e.message.empty() || !e.code.empty();
  worded_error w{e.status, {}, {}, {}, e.param, e.reason, e.retry_after};
  w.code = own ? e.code : known.code;
  w.message = e.message.empty() ? known.message : e.message;
  w.type = e.type.empty() ? known.type : e.type;
  // OpenAI repeats the code as the type: insufficient_quota.
  if (form == wire_form::openai && e.type.empty() && e.status == 429 && !e.code.empty())
    w.type = e.code;
  const bool names_all = form != wire_form::openai && form != wire_form::compatible;
  if (w.code.empty() && names_all) w.code = known.code;
  if (form == wire_form::anthropic && !e.code.empty()) w.type = e.code;
  return w;
}

void append_or_null(std::string_view text, std::string& out) {
  if (text.empty())
    out += "null";
  else
    append_json_string(text, out);
}

void append_openai_error(const worded_error& e, bool numeric_code, std::string& out) {
  out += R"({"error":{"message":)";
  append_json_string(e.message, out);
  out += R"(,"type":)";
  append_or_null(e.type, out);
  out += R"(,"param":)";
  append_or_null(e.param, out);
  out += R"(,"code":)";
  if (e.code.empty() && numeric_code)
    append_number(e.status, out);
  else
    append_or_null(e.code, out);
  out += "}}";
}

void append_google_error(const worded_error& e, std::string& out) {
  append(out, R"({"error":{"code":)", e.status, R"(,"message":)");
  append_json_string(e.message, out);
  out += R"(,"status":)";
  append_json_string(e.code, out);
  if (!e.reason.empty()) {
    out += R"(,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":)";
    append_json_string(e.reason, out);
    out += R"(,"domain":"googleapis.com","metadata":{"service":"aiplatform.googleapis.com"}}])";
  } else if (e.retry_after) {
    const std::int64_t ms = std::chrono::ceil<std::chrono::milliseconds>(*e.retry_after).count();
    const std::string part = std::to_string(1000 + ms % 1000).substr(1);
    append(out, R"(,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo",)",
           R"("retryDelay":")", ms / 1000, ".", part, R"(s"}])");
  }
  out += "}}";
}

void append_error_body(const reply_context& c, const error_reply& given, const worded_error& e,
                       std::string& out) {
  switch (c.form) {
    case wire_form::openai:
    case wire_form::mantle: return append_openai_error(e, false, out);
    case wire_form::compatible:
      if (e.status == 401 && given.message.empty() && given.code.empty())
        out += R"({"error":"Unauthorized"})";
      else
        append_openai_error(e, true, out);
      return;
    case wire_form::azure:
      out += R"({"error":{"code":)";
      append_json_string(e.code, out);
      out += R"(,"message":)";
      append_json_string(e.message, out);
      out += "}}";
      return;
    case wire_form::aws:
      out += R"({"message":)";
      append_json_string(e.message, out);
      if (e.code == "ModelErrorException")
        append(out, R"(,"originalStatusCode":500,"resourceName":"model")");
      out += '}';
      return;
    case wire_form::google: return append_google_error(e, out);
    case wire_form::google_list:
      out += '[';
      append_google_error(e, out);
      out += ']';
      return;
    case wire_form::anthropic:
      out += R"({"type":"error","error":{"type":)";
      append_json_string(e.type, out);
      out += R"(,"message":)";
      append_json_string(e.message, out);
      out += R"(},"request_id":)";
      append_id("req_", c, out);
      out += '}';
      return;
  }
}

}  // namespace

void append_error(const reply_context& c, const error_reply& e, std::string& out) {
  const worded_error worded = word(c.form, e);
  reply_frame frame(c, e.status, e.retry_after, out,
                    c.form == wire_form::aws ? worded.code : std::string_view{});
  append_error_body(c, e, worded, out);
  frame.finish();
}

error_reply bad_key_error(wire_form form, bool key_given) {
  error_reply e;
  e.status = 401;
  switch (form) {
    case wire_form::openai:
      if (key_given) break;
      e.type = "invalid_request_error";
      e.message =
          "You didn't provide an API key. You need to provide your API key in an "
          "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
      break;
    case wire_form::aws:
      e.status = 403;
      e.code = key_given ? "AccessDeniedException" : "MissingAuthenticationTokenException";
      e.message = key_given ? "Authentication failed: Please make sure your API Key is valid."
                            : "Missing Authentication Token";
      break;
    case wire_form::google:
    case wire_form::google_list:
      e.reason = key_given ? "ACCESS_TOKEN_TYPE_UNSUPPORTED" : "CREDENTIALS_MISSING";
      if (key_given) break;
      e.code = "UNAUTHENTICATED";
      e.message =
          "Request is missing required authentication credential. Expected OAuth 2 access token, "
          "login cookie or other valid authentication credential.";
      break;
    case wire_form::anthropic:
      if (!key_given) e.message = "x-api-key header is required";
      break;
    case wire_form::azure:
    case wire_form::compatible:
    case wire_form::mantle: break;
  }
  return e;
}

error_reply missing_model_error(const reply_context& c, std::string_view model) {
  error_reply e;
  e.status = 404;
  const auto say = [&e](std::string_view before, std::string_view name, std::string_view after) {
    e.message.append(before).append(name).append(after);
  };
  switch (c.form) {
    case wire_form::azure: break;
    case wire_form::openai:
      say("The model `", model, "` does not exist or you do not have access to it.");
      e.code = "model_not_found";
      break;
    case wire_form::mantle:
      say("The model '", model, "' does not exist");
      e.code = "model_not_found";
      break;
    case wire_form::compatible:
      say("The model `", model, "` does not exist.");
      e.param = "model";
      break;
    case wire_form::aws:
      e.status = 400;
      e.code = "ValidationException";
      e.message = "The provided model identifier is invalid.";
      break;
    case wire_form::google:
    case wire_form::google_list:
      e.code = "NOT_FOUND";
      say("Publisher Model `projects/p/locations/l/publishers/google/models/", model,
          "` was not found or your project does not have access to it. Please ensure you are using "
          "a valid model version.");
      break;
    case wire_form::anthropic: say("model: ", model, ""); break;
  }
  return e;
}

error_reply bad_call_error(const bad_call& problem) {
  error_reply e;
  e.status = 400;
  e.message = problem.message;
  e.param = problem.param;
  return e;
}

error_reply bad_path_error(wire_form form, path_problem problem, std::string_view method,
                           std::string_view path) {
  error_reply e;
  e.status = 404;
  switch (problem) {
    case path_problem::api_version:
      e.status = 400;
      e.code = "BadRequest";
      e.message = "API version not supported";
      return e;
    case path_problem::wrong_project:
      e.status = 403;
      e.code = "PERMISSION_DENIED";
      e.message =
          "Permission 'aiplatform.endpoints.predict' denied on resource (or it may not exist).";
      return e;
    case path_problem::wrong_location:
      e.status = 400;
      e.code = "FAILED_PRECONDITION";
      e.message = "The location of the resource is not served by this endpoint.";
      return e;
    case path_problem::unsupported_model:
      e.status = 400;
      e.code = "ValidationException";
      e.message = "The provided model identifier is invalid.";
      return e;
    case path_problem::none:
    case path_problem::unknown: break;
  }
  switch (form) {
    case wire_form::openai:
      e.code = "unknown_url";
      e.message.append("Unknown request URL: ").append(method).append(" ").append(path);
      e.message +=
          ". Please check the URL for typos, or see the docs at "
          "https://platform.openai.com/docs/api-reference/.";
      break;
    case wire_form::azure:
      e.code = "404";
      e.message = "Resource not found";
      break;
    case wire_form::aws:
      e.code = "UnknownOperationException";
      e.message = "The requested operation is not recognized by the service.";
      break;
    case wire_form::google:
    case wire_form::google_list:
      e.code = "NOT_FOUND";
      e.message = "The requested URL was not found on this server.";
      break;
    case wire_form::anthropic: e.message = "Not Found"; break;
    case wire_form::compatible:
    case wire_form::mantle: e.message = "Not Found"; break;
  }
  return e;
}

}  // namespace spillway::simulated
