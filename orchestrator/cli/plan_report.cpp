#include "orchestrator/cli/plan_report.hpp"

#include "orchestrator/core/plan.hpp"
#include "orchestrator/core/routes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace spillway {

namespace {

constexpr double first_token_s = 1, tokens_per_s = 60;  // of a typical call

std::string reason(route_refusal why, const lane_setup& lane, endpoint_kind endpoint,
                   prompt_features features, unmappable_policy policy) {
  std::string text = name_of(why);
  if (why != route_refusal::unmappable) return text;
  const auto lost = kept_off_by(lane.takes[static_cast<std::size_t>(endpoint)], features, policy);
  text += ":";
  for (const auto name : names_of(lost)) text += " " + std::string(name);
  return text;
}

plan_lane limits_of(const lane_setup& lane) {
  const auto& quota = lane.config.quota;
  constexpr double sliced_share = 0.98;  // as the lane paces itself
  const double share = (1 - quota.headroom) * (lane.sliced ? sliced_share : 1);
  plan_lane out;
  if (quota.rpm) out.requests_per_s = static_cast<double>(*quota.rpm) * share / 60;
  if (quota.tpm) out.tokens_per_s = static_cast<double>(quota.tpm->count()) * share / 60;
  out.slots = std::max<std::int64_t>(1, lane.slots);
  if (quota.concurrency) {
    const auto ours = static_cast<double>(*quota.concurrency) * (1 - quota.headroom);
    out.slots = std::clamp<std::int64_t>(static_cast<std::int64_t>(ours), 1, out.slots);
  }
  if (quota.rpd) out.requests_per_day = static_cast<double>(*quota.rpd) * (1 - quota.headroom);
  if (quota.usd_per_day) out.nano_usd_per_day = static_cast<double>(quota.usd_per_day->count());
  return out;
}

using fit_lanes = std::vector<const lane_sums*>;

/// Lanes of one kind, best first: as the scheduler ranks them before it has measured anything.
fit_lanes ranked(const std::vector<lane_setup>& lanes, const job_config& job, fit_lanes fit) {
  const auto key = [&](const lane_sums* sums) -> std::pair<std::int64_t, double> {
    if (job.order == lane_order::latency || job.order == lane_order::as_listed) return {};
    const auto& lane = lanes[sums->lane];
    const bool free = !lane.config.price && lane.config.tier == lane_tier::self_hosted;
    const double cost = lane.config.price || free ? static_cast<double>(sums->expected.count())
                                                  : std::numeric_limits<double>::infinity();
    return {job.order == lane_order::weights ? -weight_of(job.routes, lane) : 0, cost};
  };
  std::stable_sort(fit.begin(), fit.end(),
                   [&](const auto* a, const auto* b) { return key(a) < key(b); });
  return fit;
}

class reporter {
 public:
  reporter(const planned_batch& batch, const std::vector<lane_setup>& lanes, const job_config& job,
           const plan_assumptions& assumed)
      : batch_(batch), lanes_(lanes), job_(job), assumed_(assumed) {}

  plan_report make(time_point now) {
    out_.bad = static_cast<std::int64_t>(batch_.scanned.bad);
    out_.bad_shown = batch_.scanned.bad_shown;
    out_.budget = job_.budget;
    for (const auto& lane : lanes_) {
      planned_lane p;
      p.pool = lane.pool;
      p.lane = lane.config.name();
      p.model = lane.config.model;
      p.priced = lane.config.price.has_value() || lane.config.tier == lane_tier::self_hosted;
      out_.lanes.push_back(std::move(p));
      limits_.push_back(limits_of(lane));
    }
    for (const auto& [kind, sums] : batch_.kinds) add(kind, sums);
    split(now);
    for (std::size_t i = 0; i < lanes_.size(); ++i) out_.lanes[i].alone = alone(i, now);
    return std::move(out_);
  }

 private:
  void add(const prompt_kind& kind, const kind_sums& sums) {
    out_.prompts += sums.prompts;
    auto& model = out_.models[kind.model];
    model.prompts += sums.prompts;
    model.input += sums.input;
    model.max_output += sums.max_output;
    model.unbounded += sums.unbounded;
    const auto policy = job_.routes.unmappable.value_or(unmappable_policy::restrict);
    if (kind.refused) {
      model.refused["unbounded_input"] += sums.prompts;
      return;
    }
    fit_lanes fit;
    std::string why_not = "no lane offers the model";
    for (const auto& one : sums.lanes) {
      const auto& lane = lanes_[one.lane];
      const auto why = refusal_of(job_, lane, kind.endpoint, kind.features);
      if (why == route_refusal::none) {
        fit.push_back(&one);
        continue;
      }
      why_not = reason(why, lane, kind.endpoint, kind.features, policy);
      out_.lanes[one.lane].refused[why_not] += sums.prompts;
    }
    if (kind.endpoint == endpoint_kind::embeddings && mixes_vectors(fit)) {
      why_not = "lanes of different embedding models";
      fit.clear();
    }
    if (fit.empty()) {
      model.refused[why_not] += sums.prompts;
      return;
    }
    out_.sent += sums.prompts;
    nano_usd dearest;
    for (const auto* one : fit) {
      auto& lane = out_.lanes[one->lane];
      lane.eligible += sums.prompts;
      lane.bound += one->bound;
      lane.expected += one->expected;
      dearest = std::max(dearest, one->bound);
      out_.priced = out_.priced && lane.priced;
    }
    out_.bound += dearest;
    kinds_.push_back(flow_of(kind, sums, ranked(lanes_, job_, std::move(fit))));
  }

  [[nodiscard]] bool mixes_vectors(const fit_lanes& fit) const {
    const auto identity = [&](const lane_sums* one) {
      return embedding_identity(lanes_[one->lane].config);
    };
    return std::any_of(fit.begin(), fit.end(),
                       [&](const auto* one) { return identity(one) != identity(fit.front()); });
  }

  plan_kind flow_of(const prompt_kind& kind, const kind_sums& sums, const fit_lanes& fit) const {
    const double n = static_cast<double>(sums.prompts);
    plan_kind out{n, {}};
    for (const auto* one : fit) {
      plan_route route;
      route.lane = one->lane;
      route.charge = one->charge / n;
      route.nano_usd = static_cast<double>(one->expected.count()) / n;
      route.latency_s = kind.endpoint == endpoint_kind::embeddings
                            ? first_token_s / 2
                            : first_token_s + sums.expected_output / n / tokens_per_s;
      if (assumed_.latency) route.latency_s = seconds_of(*assumed_.latency);
      if (job_.order == lane_order::weights)
        route.weight = static_cast<double>(weight_of(job_.routes, lanes_[one->lane]));
      out.routes.push_back(route);
    }
    return out;
  }

  void split(time_point now) {
    const auto plan = plan_batch(limits_, kinds_, now);
    if (!kinds_.empty()) out_.finish = plan.finish;
    std::vector<double> exact(lanes_.size()), exact_cost(lanes_.size());
    for (std::size_t k = 0; k < kinds_.size(); ++k)
      for (std::size_t r = 0; r < kinds_[k].routes.size(); ++r) {
        const auto& route = kinds_[k].routes[r];
        const double n = plan.prompts[k][r];
        exact[route.lane] += n;
        exact_cost[route.lane] += n * route.nano_usd;
      }
    // Whole prompts that add up: what is cut off goes to the largest
    // remainders.
    std::int64_t missing = plan.finish ? out_.sent : 0;
    std::vector<std::pair<double, std::size_t>> rests;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      const double whole = std::floor(exact[i] + 1e-9);
      out_.lanes[i].split = static_cast<std::int64_t>(whole);
      missing -= out_.lanes[i].split;
      rests.emplace_back(whole - exact[i], i);
    }
    std::sort(rests.begin(), rests.end());
    for (std::size_t i = 0; missing > 0 && i < rests.size(); ++i, --missing)
      ++out_.lanes[rests[i].second].split;
    for (std::size_t i = 0; i < lanes_.size(); ++i)
      if (exact[i] > 0) {
        const double share = static_cast<double>(out_.lanes[i].split) / exact[i];
        out_.lanes[i].split_cost = nano_usd(std::llround(exact_cost[i] * share));
        out_.expected += out_.lanes[i].split_cost;
      }
  }

  std::optional<duration> alone(std::size_t lane, time_point now) const {
    std::vector<plan_kind> only;
    for (const auto& kind : kinds_)
      for (const auto& route : kind.routes)
        if (route.lane == lane) only.push_back({kind.prompts, {route}});
    return only.empty() ? std::nullopt : plan_batch(limits_, only, now).finish;
  }

  const planned_batch& batch_;
  const std::vector<lane_setup>& lanes_;
  const job_config& job_;
  const plan_assumptions& assumed_;
  plan_report out_;
  std::vector<plan_lane> limits_;
  std::vector<plan_kind> kinds_;
};

}  // namespace

plan_report make_report(const planned_batch& batch, const std::vector<lane_setup>& lanes,
                        const job_config& job, const plan_assumptions& assumed, time_point now) {
  return reporter(batch, lanes, job, assumed).make(now);
}

}  // namespace spillway
