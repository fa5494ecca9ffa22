// Tokens that expire and are revoked, and the endpoint that gives new ones, in simulated time.
#pragma once

#include "workers/auth/authenticator.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace spillway::sim {

struct token_plan {
  duration life{};                                  ///< of a token; 0: tokens are not used
  duration early{};                                 ///< asked for anew so long before its end
  std::vector<std::pair<duration, duration>> down;  ///< the endpoint, from and to
  std::vector<duration> revoked;                    ///< when every token so far ends early
};

/// One token for all pools. Times of the plan count from the first `set_time`.
class token_office {
 public:
  explicit token_office(token_plan plan) : plan_(std::move(plan)) {}

  void set_time(time_point now) {
    if (start_ == time_point{}) start_ = now;
    now_ = now;
    for (; revoked_ < plan_.revoked.size() && start_ + plan_.revoked[revoked_] <= now; ++revoked_)
      accepted_from_ = newest_ + 1;
    const bool wanted = discarded_ == newest_ || now + plan_.early >= ends_.back();
    if (!wanted || is_down(now)) return;
    ++newest_;
    ends_.push_back(now + plan_.life);
  }
  [[nodiscard]] bool accepts(std::uint64_t token) const {
    return token >= accepted_from_ && now_ < ends_.at(token);
  }
  [[nodiscard]] std::uint64_t newest() const { return newest_; }
  [[nodiscard]] result<std::unique_ptr<authenticator>> credentials() {
    return std::unique_ptr<authenticator>(std::make_unique<holder>(*this));
  }

 private:
  struct holder final : authenticator {
    explicit holder(token_office& o) : office(o) {}
    result<credential_use> authenticate(http_request& request) const override {
      if (const auto why = missing()) return failure{failure_kind::stopped, *why};
      request.headers += "x-token: " + std::to_string(office.newest_) + "\r\n";
      return credential_use{office.newest_, office.ends_.back()};
    }
    std::optional<std::string> missing() const override {
      if (office.discarded_ == office.newest_ || office.now_ >= office.ends_.back())
        return "the token endpoint does not answer";
      return std::nullopt;
    }
    refused_advice refused(std::uint64_t token) override {
      if (token == office.newest_) office.discarded_ = token;
      return refused_advice::resend;
    }
    std::uint64_t generation() const override { return office.newest_; }
    token_office& office;
  };
  [[nodiscard]] bool is_down(time_point now) const {
    for (const auto& [from, to] : plan_.down)
      if (now >= start_ + from && now < start_ + to) return true;
    return false;
  }

  token_plan plan_;
  time_point start_{}, now_{};
  std::vector<time_point> ends_{time_point{}};  ///< by token; the first was never given out
  std::uint64_t newest_ = 0, discarded_ = 0, accepted_from_ = 0;
  std::size_t revoked_ = 0;
};

}  // namespace spillway::sim
