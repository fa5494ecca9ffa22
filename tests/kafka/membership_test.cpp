// Group membership against the real broker.
#include "connectors/kafka/membership.hpp"

#include "tests/kafka/broker.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace spillway::kafka {
namespace {

/// A member and what it was told, one line an event.
class told_member {
 public:
  told_member(const kafka_settings& settings, const std::string& id) {
    const auto note = [this](const char* what) {
      return [this, what](const partition_set& set) {
        std::string line = what;
        for (const auto p : set) line += " " + std::to_string(p);
        add(line);
      };
    };
    membership_callbacks callbacks;
    callbacks.revoked = note("revoked");
    callbacks.assigned = note("assigned");
    callbacks.lost = note("lost");
    callbacks.fenced = [this](std::string) { add("fenced"); };
    callbacks.trouble = [this](std::string message) { add("trouble " + message); };
    auto made = membership::join(settings, id, std::move(callbacks));
    EXPECT_TRUE(made);
    if (made) member_ = std::move(*made);
  }
  bool wait_for(const std::string& line) {
    std::unique_lock lock(mutex_);
    const bool came = came_.wait_for(lock, std::chrono::seconds(60), [&] {
      return std::find(told_.begin(), told_.end(), line) != told_.end();
    });
    if (!came) {
      for (const auto& l : told_) ADD_FAILURE() << "told: " << l;
    }
    return came;
  }
  std::vector<std::string> told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  membership* operator->() { return member_.get(); }
  void end() { member_.reset(); }

 private:
  void add(const std::string& line) {
    const std::lock_guard lock(mutex_);
    told_.push_back(line);
    came_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::string> told_;
  std::unique_ptr<membership> member_;
};

TEST(membership, two_members_share_the_partitions_and_one_takes_over_all) {
  const auto settings = fresh_fleet_with_topics(4);
  told_member first(settings, "m1");
  ASSERT_TRUE(first.wait_for("assigned 0 1 2 3"));
  EXPECT_EQ(first->assigned().size(), 4u);
  EXPECT_LT(first->since_poll(), std::chrono::seconds(10));
  told_member second(settings, "m2");
  ASSERT_TRUE(first.wait_for("revoked 0 1 2 3"));
  ASSERT_TRUE(first.wait_for("assigned 0 1"));
  ASSERT_TRUE(second.wait_for("assigned 2 3"));
  second.end();  // says nothing: its session has to end
  ASSERT_TRUE(first.wait_for("revoked 0 1"));
  EXPECT_EQ(second.told(), std::vector<std::string>{"assigned 2 3"});
}

TEST(membership, a_restarted_static_member_gets_its_partitions_back_undisturbed) {
  const auto settings = fresh_fleet_with_topics(4);
  told_member first(settings, "m1");
  ASSERT_TRUE(first.wait_for("assigned 0 1 2 3"));
  auto second = std::make_unique<told_member>(settings, "m2");
  ASSERT_TRUE(second->wait_for("assigned 2 3"));
  ASSERT_TRUE(first.wait_for("assigned 0 1"));
  const auto before = first.told();
  second = std::make_unique<told_member>(settings, "m2");
  ASSERT_TRUE(second->wait_for("assigned 2 3"));
  EXPECT_EQ(first.told(), before);
}

TEST(membership, the_same_id_twice_fences_the_older) {
  const auto settings = fresh_fleet_with_topics(2);
  told_member first(settings, "m1");
  ASSERT_TRUE(first.wait_for("assigned 0 1"));
  told_member second(settings, "m1");
  ASSERT_TRUE(second.wait_for("assigned 0 1"));
  ASSERT_TRUE(first.wait_for("fenced"));
  EXPECT_TRUE(first->assigned().empty());
}

TEST(membership, a_missing_topic_is_told) {
  told_member alone(fresh_fleet(), "m1");
  std::vector<std::string> told;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (told.empty() && std::chrono::steady_clock::now() < deadline) told = alone.told();
  ASSERT_FALSE(told.empty());
  EXPECT_NE(told[0].find("topics create"), std::string::npos) << told[0];
}

}  // namespace
}  // namespace spillway::kafka
