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

/// A list flag: names separated by commas.
inline void add_names(CLI::App& app, const std::string& name, std::vector<std::string>& out,
                      const std::string& help) {
  app.add_option(name, out, help)->delimiter(',')->type_name("NAMES");
}

/// "a=1,b=2": calls `take` for each, which returns false for a value it can't use.
inline void add_pairs(CLI::App& app, const std::string& name, const std::string& type,
                      std::function<bool(const std::string&, const std::string&)> take,
                      const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [name, type, take = std::move(take)](const std::string& text) {
           for (const auto& pair : CLI::detail::split(text, ',')) {
             const auto at = pair.find('=');
             if (at == std::string::npos || at == 0 || at + 1 == pair.size() ||
                 !take(pair.substr(0, at), pair.substr(at + 1)))
               throw CLI::ValidationError(name, "expected " + type + ", found " + text);
           }
         },
         help)
      ->type_name(type);
}

/// Which lanes a job may use.
inline void add_route_flags(CLI::App& app, route_policy& o) {
  add_names(app, "--lanes", o.lanes, "Use only these: pool or pool/lane, separated by commas");
  add_names(app, "--pools", o.pools, "Use only these pools");
  add_names(app, "--deny-lanes", o.deny_lanes, "Never use these: pool or pool/lane");
  add_names(app, "--deny-pools", o.deny_pools, "Never use these pools");
  add_names(app, "--providers", o.providers, "Use only these providers");
  add_names(app, "--regions", o.regions, "Use only pools in these regions");
  add_names(app, "--data-classes", o.data_classes, "Use only lanes that declare all of these");
  add_pairs(
      app, "--models", "ALIAS=MODEL,…",
      [&o](const std::string& alias, const std::string& model) {
        return o.models.emplace(alias, model).second;
      },
      "Other names that prompts may use for models");
  add_pairs(
      app, "--weights", "LANE=N,…",
      [&o](const std::string& lane, const std::string& text) {
        std::int64_t n = 0;
        if (!CLI::detail::lexical_cast(text, n) || n < 0) return false;
        o.weights.push_back({lane, n});
        return true;
      },
      "Share prompts between lanes by weight; instead of --order");
  app.add_option_function<std::string>(
         "--unmappable",
         [&o](const std::string& text) {
           o.unmappable = text == "drop" ? unmappable_policy::drop : unmappable_policy::restrict;
         },
         "Parameters a lane can't map: go to other lanes, or drop what may be dropped")
      ->check(CLI::IsMember({"restrict", "drop"}).description(""))
      ->type_name("restrict|drop");
}

template <class Options>
void add_policy_flags(CLI::App& app, Options& o) {
  add_changeable_flags(app, o);
  add_route_flags(app, o.routes);
  add_choice(app, "--in-doubt", o.in_doubt, {in_doubt_policy::resend, in_doubt_policy::hold},
             "Prompts that may have been billed without an answer: send again, or make error rows");
}

}  // namespace spillway
