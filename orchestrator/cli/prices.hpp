// Prices from a file in the form of LiteLLM's model_prices_and_context_window.json (MIT): a map of
// key -> { input_cost_per_token, ... } in USD per token.
#pragma once

#include "schemas/config.hpp"
#include "schemas/result.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// Whose prices of an entry: each has a suffix of its own in the file.
enum class price_variant { standard, flex, priority, batches };

/// The file, read once. Copies share it; any thread may read it.
class price_list {
 public:
  /// Usage failure when it is not such a file.
  [[nodiscard]] static result<price_list> parse(std::string_view text, std::string name);
  [[nodiscard]] static result<price_list> load(const std::string& path);

  [[nodiscard]] const std::string& name() const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool has(std::string_view key) const;
  /// `litellm_provider` of an entry; empty when there is none.
  [[nodiscard]] std::string provider_of(std::string_view key) const;
  /// One number of an entry, such as an uplift for a region.
  [[nodiscard]] std::optional<double> number(std::string_view key, std::string_view field) const;
  /// What is not in the file is unknown, not free: fails, naming the field, when input or output
  /// has no price. A cache price that is missing is left out. Above N tokens, what a variant leaves
  /// open costs the dearer of its own lower price and the standard one up there.
  [[nodiscard]] result<price_config> price(std::string_view key, price_variant) const;

 private:
  struct parts;
  explicit price_list(std::shared_ptr<const parts> p) : parts_(std::move(p)) {}
  std::shared_ptr<const parts> parts_;
};

/// Keys under which the lane may stand, the first found counts; empty when none can be derived and
/// the lane needs a `price_key`.
[[nodiscard]] std::vector<std::string> price_keys(const pool_config&, const lane_config&);

/// What the lane costs by the list, tier and place considered; or why that is unknown, with the
/// keys that were tried.
[[nodiscard]] result<price_config> price_of_lane(const price_list&, const pool_config&,
                                                 const lane_config&);

}  // namespace spillway
