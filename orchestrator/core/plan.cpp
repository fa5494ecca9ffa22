#include "orchestrator/core/plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace spillway {
namespace {

constexpr double none_left = 1e-6;
constexpr double forever = std::numeric_limits<double>::infinity();
constexpr double day_s = 86'400;
constexpr double days_max = 3'650;  // a plan beyond ten years is none

double left_of(std::optional<double> limit, double used) {
  return limit ? std::max(0.0, *limit - used) : forever;
}

/// The batch under way.
class flows {
 public:
  flows(const std::vector<plan_lane>& lanes, const std::vector<plan_kind>& kinds, double day_left)
      : lanes_(lanes), kinds_(kinds), today_(lanes.size()), midnight_(day_left) {
    for (const auto& kind : kinds) {
      left_.push_back(kind.routes.empty() ? 0 : kind.prompts);
      done_.emplace_back(kind.routes.size(), 0.0);
      rates_.emplace_back(kind.routes.size(), 0.0);
    }
  }

  batch_plan run() {
    fill_slots();
    while (any_left() && now_ < days_max * day_s)
      if (!step()) break;
    batch_plan out;
    if (!any_left()) out.finish = from_seconds(std::max(now_ + last_latency_, first_end_));
    out.prompts = std::move(done_);
    return out;
  }

 private:
  struct day_use {
    double requests = 0, money = 0;
  };

  [[nodiscard]] bool any_left() const {
    return std::any_of(left_.begin(), left_.end(), [](double n) { return n > none_left; });
  }

  [[nodiscard]] bool open_today(const plan_route& r) const {
    const auto& lane = lanes_[r.lane];
    const auto& used = today_[r.lane];
    return left_of(lane.requests_per_day, used.requests) > none_left &&
           left_of(lane.nano_usd_per_day, used.money) > std::max(none_left, r.nano_usd * 0.999);
  }

  void take(std::size_t k, std::size_t r, double n) {
    const auto& route = kinds_[k].routes[r];
    done_[k][r] += n;
    left_[k] -= n;
    today_[route.lane].requests += n;
    today_[route.lane].money += n * route.nano_usd;
  }

  /// A lane without rates takes twice what it has slots for at once: as many wait for a free one.
  [[nodiscard]] bool queues(std::size_t lane) const {
    return !lanes_[lane].requests_per_s && !lanes_[lane].tokens_per_s;
  }

  void fill_slots() {
    std::vector<double> room;
    for (std::size_t l = 0; l < lanes_.size(); ++l)
      room.push_back(queues(l) ? 2 * static_cast<double>(lanes_[l].slots) : 0);
    for (bool went = true; went;) {
      went = false;
      for (std::size_t k = 0; k < kinds_.size(); ++k) {
        const auto r = left_[k] > none_left ? due(k, room) : std::nullopt;
        if (!r) continue;
        const auto& route = kinds_[k].routes[*r];
        take(k, *r, std::min(left_[k], 1.0));
        room[route.lane] -= 1;
        const bool waits = room[route.lane] < static_cast<double>(lanes_[route.lane].slots);
        first_end_ = std::max(first_end_, route.latency_s * (waits ? 2 : 1));
        went = true;
      }
    }
  }

  /// The route that a kind's next prompt takes while there is room.
  [[nodiscard]] std::optional<std::size_t> due(std::size_t k,
                                               const std::vector<double>& room) const {
    std::optional<std::size_t> best;
    double lowest = forever;
    for (std::size_t r = 0; r < kinds_[k].routes.size(); ++r) {
      const auto& route = kinds_[k].routes[r];
      if (room[route.lane] < 1 || !open_today(route)) continue;
      const double turn = route.weight > 0 ? (done_[k][r] + 0.5) / route.weight : forever;
      if (best && turn >= lowest) continue;
      best = r;
      lowest = turn;
    }
    return best;
  }

  /// What each kind gets of each lane while nothing changes: equal parts of its permits.
  void share_lanes() {
    struct users {
      double count = 0, charge = 0, latency = 0;
    };
    std::vector<users> of(lanes_.size());
    const auto each_user = [&](auto&& act) {
      for (std::size_t k = 0; k < kinds_.size(); ++k) {
        if (left_[k] <= none_left) continue;
        for (std::size_t r = 0; r < kinds_[k].routes.size(); ++r)
          if (open_today(kinds_[k].routes[r])) act(kinds_[k].routes[r], rates_[k][r]);
      }
    };
    each_user([&](const plan_route& route, double&) {
      auto& u = of[route.lane];
      u.count += 1;
      u.charge += route.charge;
      u.latency += route.latency_s;
    });
    each_user([&](const plan_route& route, double& rate) {
      const auto& lane = lanes_[route.lane];
      const auto& u = of[route.lane];
      rate = static_cast<double>(lane.slots) / u.latency;
      if (lane.requests_per_s) rate = std::min(rate, *lane.requests_per_s / u.count);
      if (lane.tokens_per_s && u.charge > 0) rate = std::min(rate, *lane.tokens_per_s / u.charge);
    });
  }

  /// Goes on until a kind or a day's quota is used up. False when nothing more will ever go.
  bool step() {
    for (auto& of_kind : rates_) std::fill(of_kind.begin(), of_kind.end(), 0.0);
    share_lanes();
    double until = forever;
    bool waits_for_day = false;
    std::vector<day_use> use(lanes_.size());
    for (std::size_t k = 0; k < kinds_.size(); ++k) {
      if (left_[k] <= none_left) continue;
      double rate = 0;
      for (std::size_t r = 0; r < kinds_[k].routes.size(); ++r) {
        const auto& route = kinds_[k].routes[r];
        rate += rates_[k][r];
        use[route.lane].requests += rates_[k][r];
        use[route.lane].money += rates_[k][r] * route.nano_usd;
        const auto& lane = lanes_[route.lane];
        waits_for_day = waits_for_day || ((lane.requests_per_day || lane.nano_usd_per_day) &&
                                          left_of(lane.nano_usd_per_day, 0) >= route.nano_usd);
      }
      if (rate > 0) until = std::min(until, left_[k] / rate);
    }
    for (std::size_t l = 0; l < lanes_.size(); ++l) {
      if (use[l].requests > 0)
        until = std::min(until,
                         left_of(lanes_[l].requests_per_day, today_[l].requests) / use[l].requests);
      if (use[l].money > 0)
        until =
            std::min(until, left_of(lanes_[l].nano_usd_per_day, today_[l].money) / use[l].money);
    }
    if (until == forever && !waits_for_day) return false;
    const bool day_ends = waits_for_day && until >= midnight_;
    advance(day_ends ? midnight_ : until);
    if (day_ends) {
      std::fill(today_.begin(), today_.end(), day_use{});
      midnight_ = day_s;
    }
    return true;
  }

  void advance(double seconds) {
    now_ += seconds;
    midnight_ -= seconds;
    last_latency_ = 0;
    for (std::size_t k = 0; k < kinds_.size(); ++k)
      for (std::size_t r = 0; r < kinds_[k].routes.size(); ++r) {
        if (rates_[k][r] <= 0) continue;
        take(k, r, rates_[k][r] * seconds);
        const auto& route = kinds_[k].routes[r];
        last_latency_ = std::max(last_latency_, route.latency_s * (queues(route.lane) ? 2 : 1));
      }
  }

  const std::vector<plan_lane>& lanes_;
  const std::vector<plan_kind>& kinds_;
  std::vector<double> left_;                // by kind
  std::vector<std::vector<double>> done_;   // by kind and route
  std::vector<std::vector<double>> rates_;  // likewise, prompts a second
  std::vector<day_use> today_;              // by lane
  double now_ = 0, midnight_ = 0;
  double last_latency_ = 0, first_end_ = 0;
};

}  // namespace

batch_plan plan_batch(const std::vector<plan_lane>& lanes, const std::vector<plan_kind>& kinds,
                      time_point start) {
  const auto midnight = std::chrono::floor<std::chrono::days>(start) + std::chrono::days(1);
  return flows(lanes, kinds, seconds_of(midnight - start)).run();
}

}  // namespace spillway
