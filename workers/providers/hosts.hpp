// Public hosts of providers that have one a region. Defaults: a pool's `endpoint` replaces them.
#pragma once

#include <string>
#include <string_view>

namespace spillway {

/// "https://bedrock-runtime.us-east-1.amazonaws.com"
[[nodiscard]] std::string bedrock_endpoint(std::string_view region);
/// "https://bedrock-mantle.us-east-1.api.aws"
[[nodiscard]] std::string mantle_endpoint(std::string_view region);
/// True for a host of Bedrock's Mantle service: "bedrock-mantle.us-east-1.api.aws".
[[nodiscard]] bool is_mantle_host(std::string_view host);
/// "global" has a host of its own, the multi-regions "us" and "eu" another form than regions.
[[nodiscard]] std::string vertex_endpoint(std::string_view location);

/// Where prompts of such a model id are worked on, as a residency name: "us" for "us.x", nothing
/// for "global.x" and for ids without a geography.
[[nodiscard]] std::string_view bedrock_geography(std::string_view model_id);
[[nodiscard]] bool is_bedrock_global(std::string_view model_id);
/// "eu" for OpenAI's residency host "eu.api.openai.com"; empty for its other hosts.
[[nodiscard]] std::string_view openai_geography(std::string_view host);
/// "us" for "us", "us-east-1" and "us-central1", "eu" for "eu", "eu-west-1" and "europe-west4";
/// empty when the name is not certain to say where.
[[nodiscard]] std::string_view geography_of_region(std::string_view region);

}  // namespace spillway
