// Flags that several commands have. Internal to the argument parsers.
#pragma once

#include "orchestrator/cli/config.hpp"
#include "orchestrator/runtime/yaml_reader.hpp"

#include <CLI/CLI.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace spillway {

/// A duration flag: text that `parse_duration` reads, kept where the option points.
inline CLI::Option* add_duration(CLI::App& app, const std::string& name,
                                 std::optional<duration>& out, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&out, name](const std::string& text) {
            out = parse_duration(text);
            if (!out || *out <= duration::zero()) {
              throw CLI::ValidationError(
                  name, "expected a duration such as 250ms, 10s, 10m or 24h, found " + text);
            }
          },
          help)
      ->type_name("TIME");
}

/// A flag with a few names, those of `name_of`.
template <class Enum>
void add_choice(CLI::App& app, const std::string& name, std::optional<Enum>& out,
                const std::vector<Enum>& values, const std::string& help) {
  std::map<std::string, Enum> names;
  for (const auto value : values) names.emplace(name_of(value), value);
  std::string listed;
  for (const auto value : values)
    listed += (listed.empty() ? "" : "|") + std::string(name_of(value));
  app.add_option_function<std::string>(
         name,
         [&out, name, names, listed](const std::string& text) {
           const auto found = names.find(text);
           if (found == names.end())
             throw CLI::ValidationError(name, "expected " + listed + ", found " + text);
           out = found->second;
         },
         help)
      ->type_name(listed);
}

/// A number from 0 to `max`. CLI::Range alone would let "nan" pass.
inline void add_number(CLI::App& app, const std::string& name, double max, const std::string& type,
                       std::function<void(double)> take, const std::string& help) {
  app.add_option_function<double>(
         name,
         [name, max, take = std::move(take)](const double& value) {
           if (!(value >= 0 && value <= max)) {
             throw CLI::ValidationError(name, "expected a number from 0 to " +
                                                  std::to_string(static_cast<std::int64_t>(max)));
           }
           take(value);
         },
         help)
      ->type_name(type);
}

inline void add_prices(CLI::App& app, std::string& file) {
  app.add_option("--prices", file,
                 "Prices of lanes that name none, in the form of LiteLLM's price file")
      ->type_name("FILE");
}

inline void add_residency(CLI::App& app, std::optional<std::vector<std::string>>& out) {
  app.add_option_function<std::string>(
         "--residency",
         [&out](const std::string& text) {
           out.emplace();
           for (const auto& name : CLI::detail::split(text, ',')) {
             if (!is_region_name(name)) {
               throw CLI::ValidationError("--residency",
                                          "expected lower-case names such as eu,us, found " + text);
             }
             out->push_back(name);
           }
         },
         "Use only lanes that keep data within these")
      ->type_name("NAMES");
}

/// Flags of a job's policy that may also change while it runs, for options that have these fields.
template <class Options>
void add_changeable_flags(CLI::App& app, Options& o) {
  add_number(
      app, "--budget", 1e9, "USD", [&o](double dollars) { o.budget = from_usd(dollars); },
      "Never spend more than this on the whole job");
  add_choice(app, "--order", o.order,
             {lane_order::cost, lane_order::latency, lane_order::as_listed},
             "Which lanes to prefer");
  add_residency(app, o.residency);
  app.add_option_function<std::int64_t>(
         "--max-attempts", [&o](const std::int64_t& n) { o.max_attempts = n; },
         "Failed calls a prompt may have before it becomes an error row")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000}).description(""))
      ->type_name("N");
  add_number(
      app, "--max-error-rate", 1, "SHARE", [&o](double share) { o.max_error_rate = share; },
      "Stop when more than this share of the last 200 prompts failed");
  add_duration(app, "--stall-timeout", o.stall_timeout,
               "Stop when every lane of a model is down for this long");
}

template <class Options>
void add_policy_flags(CLI::App& app, Options& o) {
  add_changeable_flags(app, o);
  add_choice(app, "--in-doubt", o.in_doubt, {in_doubt_policy::resend, in_doubt_policy::hold},
             "Prompts that may have been billed without an answer: send again, or make error rows");
}

}  // namespace spillway
