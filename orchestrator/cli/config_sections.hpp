// Parts of the configuration file that stand in files of their own. Internal to config.cpp.
#pragma once

#include "orchestrator/cli/prices.hpp"
#include "orchestrator/runtime/yaml_reader.hpp"
#include "schemas/config.hpp"
#include "schemas/job.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

inline constexpr const char* plain_name_expected =
    R"(expected at most 64 letters, digits, ".", "_" and "-")";

/// env:NAME or file:PATH.
[[nodiscard]] std::optional<secret_ref> read_secret(yaml_map&, std::string_view key, need);
/// `auth` of a pool: problems for a form the provider does not take, when the provider is known.
auth_config read_auth(yaml_map& pool, provider_kind, bool provider_known);
/// Lower-case names such as [eu, us]; nothing when the key is absent or wrong.
[[nodiscard]] std::optional<std::vector<std::string>> read_residency(yaml_map&);
/// What a pool says about where its prompts are worked on.
struct pool_places {
  std::optional<std::vector<std::string>> declared;  ///< its key `residency`
  std::vector<std::string> by_address;               ///< what its address says with certainty
};
/// A problem where the endpoint's host is of another region than the pool.
[[nodiscard]] pool_places read_pool_places(yaml_map& pool_map, const pool_config&);
/// The lane's own, else what its name says, else the pool's; a problem where the name is of another
/// place. Empty where nothing is certain: no job that asks for a residency uses such a lane.
[[nodiscard]] std::vector<std::string> read_lane_residency(yaml_map& lane_map, const pool_config&,
                                                           const lane_config&, const pool_places&);
/// What the rest of the file means for lanes.
struct lane_rules {
  bool budget = false;                 ///< every lane needs a price, and a bound on a call's cost
  const price_list* prices = nullptr;  ///< of lanes that name no price
};
/// The lanes of a pool that is read otherwise.
[[nodiscard]] std::vector<lane_config> read_lanes(yaml_map& pool_map, const pool_config&,
                                                  const pool_places&, const lane_rules&);
/// The list `pools`.
[[nodiscard]] std::vector<pool_config> read_pools(yaml_map& root, need, const lane_rules&);
kafka_config read_kafka(yaml_map&);
member_config read_member(yaml_map&);
/// Which lanes a job may use, and in which order.
void read_routes(yaml_map& job, job_policy&);
/// What a pool or lane declares, or a job asks for.
[[nodiscard]] std::optional<std::vector<std::string>> read_data_classes(yaml_map&);
/// Lanes and models that the job section names must be those of the file, where it has pools, and
/// lanes that answer embeddings of one logical model must not be of different models.
void check_policy(yaml_map& root, const route_policy&, const std::vector<pool_config>&);

}  // namespace spillway
