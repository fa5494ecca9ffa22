#include "workers/providers/google_error.hpp"

#include "workers/providers/headers.hpp"
#include "workers/providers/json_each.hpp"
#include "workers/providers/text.hpp"

namespace spillway {

using simdjson::dom::array;
using simdjson::dom::object;

google_error read_google_error(int status, std::string_view body) {
  google_error out;
  out.body = read_error(status, body);
  const parsed_json json = parse_json(out.body.line);
  if (!json.ok) return out;
  simdjson::dom::element root = json.root;
  array list;
  if (!root.get_array().get(list) && list.size() > 0) root = list.at(0).value_unsafe();
  object fields;
  if (root.get_object().get(fields)) return out;
  const auto error = object_at(fields, "error");
  if (!error) return out;
  const auto word = one_line(text_at(*error, "status"), 128);
  if (!word.empty()) out.body.report.code = word;
  each_object(*error, "details", [&](const object& detail) {
    const auto type = text_at(detail, "@type");
    if (type.ends_with("google.rpc.ErrorInfo"))
      out.body.report.inner_code = one_line(text_at(detail, "reason"), 128);
    else if (type.ends_with("google.rpc.RetryInfo"))
      out.retry_delay = parse_reset(text_at(detail, "retryDelay"));
  });
  return out;
}

}  // namespace spillway
