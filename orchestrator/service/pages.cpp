#include "orchestrator/service/pages.hpp"

#include "orchestrator/service/health_json.hpp"
#include "orchestrator/service/metrics.hpp"

#include <array>

namespace spillway::service {

namespace {

constexpr unsigned status_ok = 200, not_found = 404, not_allowed = 405, unavailable = 503;

response metrics(const page_sources& from) {
  response out;
  out.content_type = metrics_content_type;
  out.body =
      metrics_page(*from.board.latest(), read_process_stats(), from.engine.age(from.clock.now()));
  return out;
}

response alive(const page_sources& from) {
  const duration age = from.engine.age(from.clock.now());
  response out;
  out.status = age <= from.tick_age_max ? status_ok : unavailable;
  out.body = liveness_json(age, from.tick_age_max);
  return out;
}

response ready(const page_sources& from) {
  const auto is = readiness_of(*from.board.latest());
  response out;
  out.status = is.ready ? status_ok : unavailable;
  out.body = readiness_json(is);
  return out;
}

response status(const page_sources& from) {
  response out;
  out.body = status_json(*from.board.latest());
  return out;
}

struct route {
  std::string_view path;
  response (*show)(const page_sources&);
};
constexpr std::array<route, 4> routes = {
    {{"/metrics", metrics}, {"/healthz", alive}, {"/readyz", ready}, {"/status", status}}};

response answer(const page_sources& from, const request& asked) {
  for (const auto& r : routes) {
    if (r.path != asked.path) continue;
    if (asked.method == "GET") return r.show(from);
    auto refused = error_response(not_allowed, "this page is read only: use GET or HEAD");
    refused.allow = "GET, HEAD";
    return refused;
  }
  return error_response(not_found, "no such page; there are /metrics, /healthz, /readyz, /status");
}

}  // namespace

handler member_pages(page_sources from) {
  return [from](const request& asked) { return answer(from, asked); };
}

}  // namespace spillway::service
