// spillway serve: a member of a fleet, until it is told to stop.
#include "orchestrator/cli/config.hpp"
#include "orchestrator/cli/fleet.hpp"
#include "orchestrator/cli/fleet_commands.hpp"
#include "orchestrator/cli/logging.hpp"
#include "orchestrator/cli/serve_view.hpp"
#include "orchestrator/engine/member.hpp"
#include "orchestrator/service/health.hpp"
#include "orchestrator/service/http_server.hpp"
#include "orchestrator/service/pages.hpp"

#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>

namespace spillway {

namespace {

std::atomic<int> reloads_asked{0};

extern "C" void on_reload_signal(int) { reloads_asked.fetch_add(1, std::memory_order_relaxed); }

void handle_reload_signal() {
  struct sigaction action {};
  action.sa_handler = on_reload_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGHUP, &action, nullptr);
}

result<fleet_config> load(const serve_options& options) {
  config_rules rules;
  rules.prices = options.prices;
  auto config = load_fleet_config(options.config, rules);
  if (!config) return config.error();
  if (auto ok = check_settings(settings_of(config->kafka)); !ok)
    return ok.error().within(options.config);
  if (!options.member.empty()) config->member.id = options.member;
  if (!options.state.empty()) config->member.state = options.state;
  if (!is_plain_name(config->member.id))
    return failure{failure_kind::usage,
                   options.config +
                       ": member.id: missing; give every member of the fleet a name of "
                       "its own, here or with --member"};
  if (config->member.state.empty())
    return failure{failure_kind::usage,
                   options.config +
                       ": member.state: missing; a folder for the local index, here or "
                       "with --state"};
  return config;
}

member_request request_of(const serve_options& options, const fleet_config& config) {
  member_request r;
  r.config = config;
  r.kafka = settings_of(config.kafka);
  r.id = config.member.id;
  r.state = config.member.state;
  r.threads = options.threads;
  r.seed = options.seed;
  return r;
}

/// In one line.
void tell_reload(const std::string& file, const result<std::vector<std::string>>& done) {
  if (!done) return spdlog::error("the configuration stays as it was: {}", done.error().message);
  if (done->empty()) return spdlog::info("configuration {} is in force", file);
  std::string keys;
  for (const auto& key : *done) keys += (keys.empty() ? "" : ", ") + key;
  spdlog::warn("configuration {} is in force, except for what needs a restart: {}", file, keys);
}

int serve(const serve_options& options, const stop_flag& stop) {
  const auto config = load(options);
  if (!config) return report(config.error());
  const system_time time;
  service::heartbeat beat(time.now());
  service::member_board board;
  serve_view shown(config->kafka.fleet, config->member.id);

  service::server_settings listen;
  listen.host = config->member.listen_host;
  listen.port = config->member.listen_port;
  if (!service::is_loopback(listen.host))
    spdlog::warn("the pages are open to other machines: {} is not loopback", listen.host);
  auto pages = service::http_server::start(listen, service::member_pages({board, beat, time}));
  if (!pages) return report(pages.error());
  spdlog::info("member {} of fleet {}: pages at {}", config->member.id, config->kafka.fleet,
               pages->url());

  auto working = member::start(request_of(options, *config), time,
                               {[&](time_point now) { beat.beat(now); },
                                [&](const member_view& v) { board.publish(shown.metrics(v)); }});
  if (!working) return report(working.error());
  int reloads = reloads_asked.load();
  const auto ended = (*working)->run(stop, [&] {
    if (const int asked = reloads_asked.load(); asked != reloads) {
      reloads = asked;
      tell_reload(options.config, (*working)->reload(load(options)));
    }
  });
  pages->stop();
  working->reset();
  if (!ended) return report(ended.error());
  spdlog::info("member {} has stopped; nothing is in flight", config->member.id);
  return 0;
}

}  // namespace

int run_serve(const serve_options& options, const stop_flag& stop) {
  handle_reload_signal();
  setup_logging(options.log_level,
                options.log_format == "json" ? log_format::json : log_format::text,
                [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); });
  const int code = serve(options, stop);
  reset_logging();
  return code;
}

}  // namespace spillway
