// spillway pools check: asks every pool whether its lanes could work, and says
// what to do if not.
#include "connectors/jsonl.hpp"
#include "connectors/log.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/config.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/pool_check.hpp"
#include "orchestrator/engine/progress_json.hpp"
#include "orchestrator/runtime/masking.hpp"
#include "workers/auth/authenticator.hpp"
#include "workers/providers/headers.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <thread>

namespace spillway {

namespace {

using namespace std::chrono_literals;

constexpr duration credentials_wait = 10s, look_period = 20ms;

time_point wall_clock() {
  return std::chrono::time_point_cast<duration>(std::chrono::system_clock::now());
}

/// A prompt as adapters see it, and the text it points into.
struct tiny_prompt {
  std::string line;
  prompt_view view;
};

std::unique_ptr<tiny_prompt> make_prompt(const std::string& model, endpoint_kind kind) {
  auto made = std::make_unique<tiny_prompt>();
  made->line = smallest_prompt(model, kind);
  const auto length = made->line.size();
  made->line.reserve(length + read_padding);
  line_parser parser;
  const auto parsed = parser.parse(std::string_view(made->line.data(), length));
  ensure(parsed.code.empty(), "a prompt of our own is not valid");
  const std::string_view line(made->line.data(), length);
  made->view.url = url_of(kind);
  made->view.body = line.substr(parsed.value.body.offset, parsed.value.body.length);
  made->view.model_offset = parsed.value.model.offset - parsed.value.body.offset;
  made->view.model_length = parsed.value.model.length;
  return made;
}

/// Asks one pool. Blocks; one thread a pool.
class pool_checker {
 public:
  pool_checker(const pool_config& pool, bool send)
      : pool_(pool), send_(send), adapter_(make_provider(pool)) {}

  check_findings run() {
    auto credentials = make_authenticator(pool_);
    if (credentials) {
      credentials_ = *std::move(credentials);
      for (const auto end = wall_clock() + credentials_wait;
           credentials_->missing() && wall_clock() < end;)
        std::this_thread::sleep_for(look_period);
      if (const auto why = credentials_->missing()) have_none(*why);
    } else {
      have_none(credentials.error().message);
    }
    if (lists_models(pool_))
      ask_for_models();
    else
      ask_lanes_with_nothing();
    if (tells_health(pool_) && !fault_) ask_for_health();
    if (send_ && usable_)
      for (const auto& lane : pool_.lanes) send_prompt(lane);
    return std::move(found_);
  }

 private:
  void have_none(const std::string& why) {
    usable_ = false;
    found_.push_back(no_credentials(why));
  }

  [[nodiscard]] endpoint_kind endpoint_of(const lane_config& lane) const {
    using enum endpoint_kind;
    std::array wanted = {chat_completions, responses, completions, embeddings};
    if (lane.model.find("embed") != std::string::npos || lane.as.find("embed") != std::string::npos)
      wanted = {embeddings, chat_completions, responses, completions};
    for (const auto kind : wanted)
      if (adapter_->serves(kind, lane)) return kind;
    return chat_completions;
  }

  /// Sends with credentials, as far as there are any.
  probe_answer ask(http_request request, bool post, duration timeout) {
    if (usable_) {
      const auto before = request.headers.size();
      if (auto used = credentials_->authenticate(request); !used) have_none(used.error().message);
      secrets_ = secrets_in(std::string_view(request.headers).substr(before));
    }
    return ask_bare(std::move(request), post, timeout);
  }

  /// Notes reachability and clock once.
  probe_answer ask_bare(http_request request, bool post, duration timeout) {
    probe_request out;
    out.post = post;
    const auto url = parse_endpoint(pool_.endpoint);
    out.url =
        (url && url->tls ? "https://" : "http://") + (url ? url->authority() : "") + request.target;
    out.headers = std::move(request.headers);
    out.body = std::move(request.body);
    out.ca_file = pool_.ca_file;
    out.timeout = timeout;
    const auto sent = wall_clock();
    auto answer = probe(out);
    fault_ = answer.fault != probe_fault::none;
    if (asked_) return answer;
    asked_ = true;
    found_.push_back(reached(pool_, answer));
    if (answer.fault == probe_fault::none)
      if (auto clock = clock_of(pool_, answer.response, sent, wall_clock()))
        found_.push_back(*std::move(clock));
    return answer;
  }

  [[nodiscard]] outcome decoded(const probe_answer& answer, std::string_view url,
                                const lane_config& lane) const {
    call_result call;
    call.written = true;
    call.response = answer.response;
    auto out = adapter_->decode(url, call, lane);
    out.error_message = masked_lookalikes(masked(std::move(out.error_message), secrets_));
    return out;
  }

  void add(check_findings more) {
    for (auto& finding : more) found_.push_back(std::move(finding));
  }

  void ask_for_models() {
    const auto& lane = pool_.lanes.front();
    const auto kind = endpoint_of(lane);
    const auto prompt = make_prompt(lane.model, kind);
    auto request = adapter_->encode(prompt->view, lane);
    request.target = models_path(request.target);
    request.body.clear();
    if (request.target.empty()) {
      const auto url = parse_endpoint(pool_.endpoint);
      request.target = (url ? url->prefix : "") + "/models";
    }
    const auto answer = ask(std::move(request), false, probe_request{}.timeout);
    if (answer.fault != probe_fault::none || !usable_) return;
    add(judge_list(pool_, answer.response, decoded(answer, url_of(kind), lane)));
  }

  void ask_for_health() {
    http_request request;
    const auto url = parse_endpoint(pool_.endpoint);
    request.target = health_path(url ? url->prefix : "");
    // A gateway that knows us may ask all its models how they are, and bill it.
    found_.push_back(judge_health(ask_bare(std::move(request), false, probe_request{}.timeout)));
  }

  /// Where there is no list: what is refused as empty has got past the credentials.
  void ask_lanes_with_nothing() {
    for (const auto& lane : pool_.lanes) {
      const auto kind = endpoint_of(lane);
      const auto prompt = make_prompt(lane.model, kind);
      auto request = adapter_->encode(prompt->view, lane);
      request.body = empty_body(lane);
      const auto answer = ask(std::move(request), true, probe_request{}.timeout);
      if (answer.fault != probe_fault::none || !usable_) return;
      add(judge_refusal(pool_, lane, decoded(answer, url_of(kind), lane)));
    }
  }

  void send_prompt(const lane_config& lane) {
    const auto kind = endpoint_of(lane);
    const auto prompt = make_prompt(lane.model, kind);
    const auto answer =
        ask(adapter_->encode(prompt->view, lane), true, std::min<duration>(lane.timeout, 2min));
    if (answer.fault != probe_fault::none) {
      found_.push_back({lane.name(), "prompt", check_level::problem,
                        clipped(printable(answer.detail), 300), reached(pool_, answer).remedy});
      return;
    }
    const auto out = decoded(answer, url_of(kind), lane);
    add(judge_prompt(pool_, lane, out));
    if (auto limits = limits_of(lane, out)) found_.push_back(*std::move(limits));
  }

  const pool_config& pool_;
  const bool send_;
  std::unique_ptr<provider> adapter_;
  std::unique_ptr<authenticator> credentials_;
  std::vector<std::string> secrets_;  ///< what was asked with last
  bool usable_ = true;                ///< there are credentials
  bool asked_ = false;
  bool fault_ = false;  ///< the last question got no answer
  check_findings found_;
};

struct checked_pool {
  std::string name;
  check_findings found;
};

std::string label_of(const checked_pool& pool, const check_finding& finding) {
  return printable(finding.lane.empty() ? pool.name : pool.name + "/" + finding.lane);
}

std::string table_of(const std::vector<checked_pool>& pools) {
  std::size_t widest = 4, problems = 0, warnings = 0;
  for (const auto& pool : pools)
    for (const auto& finding : pool.found) {
      widest = std::max(widest, columns_of(label_of(pool, finding)));
      problems += finding.level == check_level::problem;
      warnings += finding.level == check_level::warning;
    }
  constexpr std::size_t what_columns = 13, level_columns = 9;
  std::string text = padded_right("Lane", widest + 2) + padded_right("Check", what_columns) +
                     padded_right("Result", level_columns) + "\n";
  for (const auto& pool : pools)
    for (const auto& finding : pool.found) {
      text += padded_right(label_of(pool, finding), widest + 2) +
              padded_right(finding.what, what_columns) +
              padded_right(name_of(finding.level), level_columns) + finding.text + "\n";
      if (!finding.remedy.empty())
        text += std::string(widest + 2 + what_columns + level_columns, ' ') + "-> " +
                finding.remedy + "\n";
    }
  text += "\n" + grouped(static_cast<std::int64_t>(problems)) + " problems, " +
          grouped(static_cast<std::int64_t>(warnings)) + " warnings\n";
  return text;
}

std::string lines_of(const std::vector<checked_pool>& pools) {
  std::string text;
  for (const auto& pool : pools)
    for (const auto& finding : pool.found) {
      boost::json::object line{{"pool", pool.name},
                               {"check", finding.what},
                               {"result", name_of(finding.level)},
                               {"detail", finding.text}};
      if (!finding.lane.empty()) line["lane"] = finding.lane;
      if (!finding.remedy.empty()) line["remedy"] = finding.remedy;
      text += json_line(line) + "\n";
    }
  return text;
}

}  // namespace

int run_pools_check(const pools_check_options& options) {
  config_rules rules;
  rules.fleet_keys = true;
  rules.prices = options.prices;
  const auto config = load_run_config(options.config, rules);
  if (!config) return report(config.error());
  std::vector<checked_pool> pools(config->pools.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < pools.size(); ++i) {
      pools[i].name = config->pools[i].name;
      threads.emplace_back(
          [&, i] { pools[i].found = pool_checker(config->pools[i], options.send).run(); });
    }
  }
  const auto text = options.json ? lines_of(pools) : table_of(pools);
  std::fwrite(text.data(), 1, text.size(), stdout);
  const bool problem = std::any_of(pools.begin(), pools.end(), [](const checked_pool& pool) {
    return std::any_of(pool.found.begin(), pool.found.end(), [](const check_finding& finding) {
      return finding.level == check_level::problem;
    });
  });
  return problem ? exit_code(failure_kind::usage) : 0;
}

}  // namespace spillway
