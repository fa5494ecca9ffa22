#include "orchestrator/cli/plan_scan.hpp"

#include "orchestrator/cli/token_estimate.hpp"
#include "orchestrator/core/money.hpp"
#include "workers/input_bound.hpp"
#include "workers/provider.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace spillway {

namespace {

namespace dom = simdjson::dom;

// A message, its role and the marks around it; the same for the list as a
// whole.
constexpr double message_tokens = 4, reply_tokens = 3;
constexpr double image_tokens_typical = 800;

/// Text within a value; what is an image's is left out.
double text_tokens(dom::element value) {
  switch (value.type()) {
    case dom::element_type::STRING: return estimate_tokens(value.get_string().value_unsafe());
    case dom::element_type::ARRAY: {
      double sum = 0;
      const dom::array items = value.get_array().value_unsafe();
      for (const auto item : items) {
        // Token ids, and lists of them.
        if (item.type() == dom::element_type::INT64 || item.type() == dom::element_type::UINT64)
          sum += 1;
        else
          sum += text_tokens(item);
      }
      return sum;
    }
    case dom::element_type::OBJECT: {
      double sum = 0;
      const dom::object fields = value.get_object().value_unsafe();
      for (const auto field : fields) {
        const auto key = field.key;
        if (key == "image_url" || key == "input_audio" || key == "file" || key == "type" ||
            key == "role")
          continue;
        sum += text_tokens(field.value);
      }
      return sum;
    }
    default: return 0;
  }
}

/// Definitions of tools and schemas are read by the model much as they stand.
double written_tokens(dom::element value) { return estimate_tokens(simdjson::minify(value)) * 0.8; }

std::size_t entries_of(dom::element value) {
  return value.is_array() ? value.get_array().value_unsafe().size() : 1;
}

struct slot_sums {
  std::map<prompt_kind, kind_sums> kinds;
};

class plan_counter {
 public:
  plan_counter(const std::vector<lane_setup>& lanes,
               const std::function<std::string(const std::string&)>& model_of,
               const plan_rules& rules)
      : lanes_(lanes), model_of_(model_of), rules_(rules) {
    for (std::size_t i = 0; i < lanes.size(); ++i) by_model_[lanes[i].config.model].push_back(i);
  }

  void add(std::size_t slot, const parsed_line& parsed, std::string_view line) {
    const auto& p = parsed.value;
    const auto body = line.substr(p.body.offset, p.body.length);
    prompt_view view;
    view.url = url_of(p.endpoint);
    view.body = body;
    view.model_offset = p.model.offset - p.body.offset;
    view.model_length = p.model.length;
    const double input = std::max(1.0, estimate_input(body, p.endpoint, p.images));
    prompt_kind kind;
    kind.model = model_of_(parsed.model);
    kind.endpoint = p.endpoint;
    kind.features = features_of(view);
    kind.size = static_cast<int>(std::log2(input));
    kind.refused = rules_.capped && !unbounded_input(view).empty();
    auto& sums = slots_[slot].kinds[kind];
    if (sums.prompts == 0)
      if (const auto found = by_model_.find(kind.model); found != by_model_.end())
        for (const auto i : found->second) sums.lanes.push_back({i, {}, {}, 0});
    ++sums.prompts;
    sums.input += input;
    sums.max_output += p.max_output;
    if (p.max_output == tokens{} && p.endpoint != endpoint_kind::embeddings) ++sums.unbounded;
    const auto output = expected_output(p);
    sums.expected_output += static_cast<double>(output.count());
    auto size = size_of(p);
    size.added = added_tokens(p.endpoint, kind.features);
    const tokens in(static_cast<std::int64_t>(std::ceil(input)));
    for (auto& to : sums.lanes) {
      const auto& lane = lanes_[to.lane];
      const auto limit = output_limit(size, lane.config);
      const auto here = limit == tokens{} ? output : std::min(output, limit);
      to.charge += static_cast<double>(lane.rate_charge(in, limit, here).count());
      nano_usd expected;
      if (lane.config.price) {
        token_usage usage;
        usage.known = true;
        usage.input = in;
        usage.output = here;
        expected = billed(usage, *lane.config.price);
      }
      to.expected += expected;
      // Where neither prompt nor lane sets a limit, the worst case knows of no output.
      to.bound += std::max(worst_case(size, lane.config), expected);
    }
  }

  [[nodiscard]] std::map<prompt_kind, kind_sums> sum() {
    std::map<prompt_kind, kind_sums> all;
    for (auto& slot : slots_)
      for (auto& [kind, part] : slot.kinds) {
        auto [at, fresh] = all.try_emplace(kind, part);
        if (fresh) continue;
        auto& to = at->second;
        to.prompts += part.prompts;
        to.input += part.input;
        to.expected_output += part.expected_output;
        to.max_output += part.max_output;
        to.unbounded += part.unbounded;
        for (std::size_t i = 0; i < to.lanes.size(); ++i) {
          to.lanes[i].bound += part.lanes[i].bound;
          to.lanes[i].expected += part.lanes[i].expected;
          to.lanes[i].charge += part.lanes[i].charge;
        }
      }
    return all;
  }

 private:
  [[nodiscard]] tokens expected_output(const prompt& p) const {
    if (p.endpoint == endpoint_kind::embeddings) return {};
    const auto typical = rules_.output * p.choices;
    return p.max_output == tokens{} ? typical : std::min(typical, p.max_output);
  }

  const std::vector<lane_setup>& lanes_;
  std::map<std::string, std::vector<std::size_t>> by_model_;
  const std::function<std::string(const std::string&)>& model_of_;
  const plan_rules& rules_;
  std::array<slot_sums, scan_rules::slots> slots_;
};

}  // namespace

double estimate_input(std::string_view body, endpoint_kind endpoint, std::int64_t images) {
  thread_local dom::parser parser;
  const double pictures = static_cast<double>(images) * image_tokens_typical;
  dom::element root;
  // The copy that is made has the padding that the reader needs.
  if (parser.parse(body.data(), body.size(), true).get(root) != simdjson::SUCCESS ||
      !root.is_object())
    return pictures + static_cast<double>(body.size()) / 4;
  double sum = pictures;
  const dom::object members = root.get_object().value_unsafe();
  for (const auto field : members) {
    const auto key = field.key;
    if (key == "messages")
      sum += text_tokens(field.value) + reply_tokens +
             message_tokens * static_cast<double>(entries_of(field.value));
    else if (key == "input")
      sum += text_tokens(field.value) +
             (endpoint == endpoint_kind::responses
                  ? reply_tokens + message_tokens * static_cast<double>(entries_of(field.value))
                  : 0);
    else if (key == "prompt" || key == "instructions")
      sum += text_tokens(field.value);
    else if (key == "tools" || key == "functions" || key == "response_format" || key == "text")
      sum += written_tokens(field.value);
  }
  return sum;
}

result<planned_batch> scan_for_plan(const std::vector<std::string>& inputs,
                                    std::size_t line_bytes_max,
                                    const std::vector<lane_setup>& lanes,
                                    const std::function<std::string(const std::string&)>& model_of,
                                    const plan_rules& rules, parallel_runner& runner,
                                    const stop_flag& stop) {
  plan_counter counter(lanes, model_of, rules);
  scan_rules scan;
  scan.line_bytes_max = line_bytes_max;
  scan.tell_only = true;
  scan.each = [&](std::size_t slot, const parsed_line& parsed, std::string_view line) {
    counter.add(slot, parsed, line);
  };
  auto scanned = scan_inputs(inputs, scan, runner, stop, [](auto, auto) {});
  if (!scanned) return scanned.error();
  return planned_batch{*std::move(scanned), counter.sum()};
}

}  // namespace spillway
