#include "connectors/kafka/fleet_codec_jobs.hpp"

#include "connectors/files/totals_codec.hpp"
#include "connectors/kafka/fleet_wire.hpp"
#include "schemas/fleet_job.pb.h"

namespace spillway::kafka {

namespace pb = spillway::fleet::v1;
using namespace fleet_wire;

namespace {

constexpr std::uint32_t policy_version = 2;  // the newest of records that hold a policy

constexpr std::string_view submission_prefix = "submission/", manifest_prefix = "job/",
                           command_prefix = "command/", final_prefix = "final/";

void put(google::protobuf::RepeatedPtrField<pb::PartitionCount>& out,
         const std::vector<partition_count>& in) {
  for (const auto& p : in) {
    auto& count = *out.Add();
    count.set_partition(p.partition);
    count.set_shards(p.shards);
    count.set_prompts(p.prompts);
    count.set_first_offset(p.first_offset);
    count.set_end_offset(p.end_offset);
  }
}

std::vector<partition_count> counts_of(
    const google::protobuf::RepeatedPtrField<pb::PartitionCount>& in) {
  std::vector<partition_count> out;
  for (const auto& p : in)
    out.push_back({p.partition(), p.shards(), p.prompts(), p.first_offset(), p.end_offset()});
  return out;
}

void put(pb::Policy& out, const route_policy& in) {
  const auto add_all = [](auto& to, const std::vector<std::string>& names) {
    to.Add(names.begin(), names.end());
  };
  add_all(*out.mutable_lanes(), in.lanes);
  add_all(*out.mutable_pools(), in.pools);
  add_all(*out.mutable_deny_lanes(), in.deny_lanes);
  add_all(*out.mutable_deny_pools(), in.deny_pools);
  add_all(*out.mutable_providers(), in.providers);
  add_all(*out.mutable_regions(), in.regions);
  add_all(*out.mutable_data_classes(), in.data_classes);
  for (const auto& [alias, model] : in.models) (*out.mutable_models())[alias] = model;
  if (in.unmappable) out.set_unmappable(name_of(*in.unmappable));
  for (const auto& w : in.weights) {
    auto& weight = *out.add_weights();
    weight.set_lane(w.lane);
    weight.set_weight(w.weight);
  }
}

/// A member that does not know these restrictions must not run the job.
std::uint32_t version_for(const job_policy& policy) {
  const auto& r = policy.routes;
  const bool restricted = !r.pools.empty() || !r.deny_lanes.empty() || !r.deny_pools.empty() ||
                          !r.providers.empty() || !r.regions.empty() || !r.data_classes.empty();
  return restricted ? policy_version : 1;
}

void put(pb::Policy& out, const job_policy& in) {
  out.set_tenant(in.tenant);
  out.set_weight(in.weight);
  out.set_priority(in.priority);
  if (in.order) out.set_order(name_of(*in.order));
  out.set_residency_constrained(in.residency.has_value());
  if (in.residency)
    for (const auto& place : *in.residency) out.add_residency(place);
  if (in.budget) out.set_budget_nano_usd(in.budget->count());
  if (in.in_doubt) out.set_in_doubt(name_of(*in.in_doubt));
  if (in.max_attempts) out.set_max_attempts(*in.max_attempts);
  if (in.max_error_rate) out.set_max_error_rate(*in.max_error_rate);
  if (in.stall_timeout) out.set_stall_timeout_ms(ms_of(*in.stall_timeout));
  if (in.deadline) out.set_deadline_unix_ms(unix_ms(*in.deadline));
  put(out, in.routes);
  out.set_keep_ms(ms_of(in.keep));
}

template <class Enum>
bool read_name(const std::string& text, std::initializer_list<Enum> values,
               std::optional<Enum>& out) {
  if (text.empty()) return true;
  for (const auto value : values)
    if (text == name_of(value)) out = value;
  return out.has_value();
}

void read(const pb::Policy& in, route_policy& out) {
  out.lanes.assign(in.lanes().begin(), in.lanes().end());
  out.pools.assign(in.pools().begin(), in.pools().end());
  out.deny_lanes.assign(in.deny_lanes().begin(), in.deny_lanes().end());
  out.deny_pools.assign(in.deny_pools().begin(), in.deny_pools().end());
  out.providers.assign(in.providers().begin(), in.providers().end());
  out.regions.assign(in.regions().begin(), in.regions().end());
  out.data_classes.assign(in.data_classes().begin(), in.data_classes().end());
  for (const auto& [alias, model] : in.models()) out.models.emplace(alias, model);
  for (const auto& w : in.weights()) out.weights.push_back({w.lane(), w.weight()});
}

decoded<job_policy> policy_of(const pb::Policy& in) {
  job_policy out;
  out.tenant = in.tenant();
  out.weight = in.weight() == 0 ? 1 : in.weight();
  if (out.weight < 1 || out.weight > job_weight_max)
    return record_fault{"invalid_policy", "the weight is not between 1 and 1000000"};
  out.priority = in.priority();
  if (!read_name(
          in.order(),
          {lane_order::cost, lane_order::latency, lane_order::as_listed, lane_order::weights},
          out.order))
    return record_fault{"invalid_policy", "the order is none of cost, latency, as-listed, weights"};
  if (in.residency_constrained())
    out.residency.emplace(in.residency().begin(), in.residency().end());
  if (in.has_budget_nano_usd()) out.budget = nano_usd(in.budget_nano_usd());
  if (out.budget && *out.budget < nano_usd(0))
    return record_fault{"invalid_policy", "the budget is negative"};
  if (!read_name(in.in_doubt(), {in_doubt_policy::resend, in_doubt_policy::hold}, out.in_doubt))
    return record_fault{"invalid_policy", "in_doubt is none of resend, hold"};
  if (in.has_max_attempts()) out.max_attempts = in.max_attempts();
  if (in.has_max_error_rate()) out.max_error_rate = in.max_error_rate();
  if (in.has_stall_timeout_ms()) out.stall_timeout = from_ms(in.stall_timeout_ms());
  if (in.deadline_unix_ms() != 0) out.deadline = time_of(in.deadline_unix_ms());
  if (!read_name(in.unmappable(), {unmappable_policy::restrict, unmappable_policy::drop},
                 out.routes.unmappable))
    return record_fault{"invalid_policy", "unmappable is none of restrict, drop"};
  read(in, out.routes);
  if (in.keep_ms() > 0) out.keep = from_ms(in.keep_ms());
  return out;
}

constexpr std::pair<command_kind, pb::Command::Kind> command_kinds[] = {
    {command_kind::pause, pb::Command::KIND_PAUSE},
    {command_kind::resume, pb::Command::KIND_RESUME},
    {command_kind::cancel, pb::Command::KIND_CANCEL},
    {command_kind::retry, pb::Command::KIND_RETRY},
    {command_kind::close, pb::Command::KIND_CLOSE},
    {command_kind::policy, pb::Command::KIND_POLICY}};

}  // namespace

std::optional<jobs_key> parse_jobs_key(std::string_view key) {
  const auto rest_of = [key](std::string_view prefix) -> std::optional<std::string_view> {
    if (!key.starts_with(prefix)) return std::nullopt;
    return key.substr(prefix.size());
  };
  jobs_key out;
  std::optional<std::string_view> rest;
  if ((rest = rest_of(submission_prefix))) {
    out.kind = jobs_key_kind::submission;
  } else if ((rest = rest_of(manifest_prefix))) {
    out.kind = jobs_key_kind::manifest;
  } else if ((rest = rest_of(final_prefix))) {
    out.kind = jobs_key_kind::final;
  } else if ((rest = rest_of(command_prefix))) {
    out.kind = jobs_key_kind::command;
    const auto slash = rest->find('/');
    if (slash == std::string_view::npos || slash + 1 == rest->size()) return std::nullopt;
    out.command = rest->substr(slash + 1);
    rest = rest->substr(0, slash);
  } else {
    return std::nullopt;
  }
  if (!is_plain_name(*rest)) return std::nullopt;
  out.job = *rest;
  return out;
}

std::string key_of(const submission_record& r) { return std::string(submission_prefix) + r.job; }
std::string key_of(const manifest_record& r) { return std::string(manifest_prefix) + r.job; }
std::string key_of(const command_record& r) {
  return std::string(command_prefix) + r.job + "/" + r.id;
}
std::string key_of(const final_record& r) { return std::string(final_prefix) + r.job; }
std::string key_of(const progress_record& r) { return r.job + "/" + std::to_string(r.partition); }

std::string encode(const submission_record& r) {
  pb::Submission out;
  out.set_version(1);
  out.set_job(r.job);
  out.set_submission(r.submission);
  out.set_checksum(r.checksum);
  out.set_shards(r.shards);
  out.set_prompts(r.prompts);
  put(*out.mutable_partitions(), r.partitions);
  out.set_started_unix_ms(unix_ms(r.started));
  out.set_abandoned(r.abandoned);
  return out.SerializeAsString();
}

decoded<submission_record> decode_submission(std::string_view bytes) {
  pb::Submission in;
  if (auto fault = parse(in, bytes, "submission")) return *fault;
  return submission_record{in.job(),
                           in.submission(),
                           in.checksum(),
                           in.shards(),
                           in.prompts(),
                           counts_of(in.partitions()),
                           time_of(in.started_unix_ms()),
                           in.abandoned()};
}

std::string encode(const manifest_record& r) {
  pb::Manifest out;
  out.set_version(version_for(r.policy));
  out.set_job(r.job);
  out.set_submission(r.submission);
  put(*out.mutable_policy(), r.policy);
  out.set_open(r.open);
  out.set_shards(r.shards);
  out.set_prompts(r.prompts);
  out.set_checksum(r.checksum);
  put(*out.mutable_partitions(), r.partitions);
  for (const auto& file : r.files) out.add_files(file);
  out.set_created_unix_ms(unix_ms(r.created));
  return out.SerializeAsString();
}

decoded<manifest_record> decode_manifest(std::string_view bytes) {
  pb::Manifest in;
  if (auto fault = parse(in, bytes, "manifest", policy_version)) return *fault;
  auto policy = policy_of(in.policy());
  if (auto* fault = std::get_if<record_fault>(&policy)) return *fault;
  manifest_record out;
  out.job = in.job();
  out.submission = in.submission();
  out.policy = std::get<job_policy>(std::move(policy));
  out.open = in.open();
  out.shards = in.shards();
  out.prompts = in.prompts();
  out.checksum = in.checksum();
  out.partitions = counts_of(in.partitions());
  out.files.assign(in.files().begin(), in.files().end());
  out.created = time_of(in.created_unix_ms());
  return out;
}

std::string encode(const command_record& r) {
  pb::Command out;
  out.set_version(r.policy ? version_for(*r.policy) : 1);
  out.set_job(r.job);
  out.set_id(r.id);
  for (const auto& [ours, theirs] : command_kinds)
    if (ours == r.kind) out.set_kind(theirs);
  out.set_in_doubt_only(r.in_doubt_only);
  for (const auto& code : r.codes) out.add_codes(code);
  for (const auto offset : r.end_offsets) out.add_end_offsets(offset);
  if (r.policy) put(*out.mutable_policy(), *r.policy);
  out.set_at_unix_ms(unix_ms(r.at));
  return out.SerializeAsString();
}

decoded<command_record> decode_command(std::string_view bytes) {
  pb::Command in;
  if (auto fault = parse(in, bytes, "command", policy_version)) return *fault;
  command_record out;
  bool known = false;
  for (const auto& [ours, theirs] : command_kinds) {
    if (theirs != in.kind()) continue;
    out.kind = ours;
    known = true;
  }
  if (!known)
    return record_fault{"unknown_command",
                        "the command's kind is unknown here; upgrade this member"};
  out.job = in.job();
  out.id = in.id();
  out.in_doubt_only = in.in_doubt_only();
  out.codes.assign(in.codes().begin(), in.codes().end());
  out.end_offsets.assign(in.end_offsets().begin(), in.end_offsets().end());
  if (in.has_policy()) {
    auto policy = policy_of(in.policy());
    if (auto* fault = std::get_if<record_fault>(&policy)) return *fault;
    out.policy = std::get<job_policy>(std::move(policy));
  }
  out.at = time_of(in.at_unix_ms());
  return out;
}

}  // namespace spillway::kafka
