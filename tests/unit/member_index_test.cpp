#include "connectors/kafka/member_index.hpp"

#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>

namespace spillway::kafka {
namespace {

namespace fs = std::filesystem;

class member_index_test : public testing::Test {
 protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }
  static void TearDownTestSuite() { spdlog::set_level(spdlog::level::info); }

  std::unique_ptr<member_index> open() {
    auto index = member_index::open(folder());
    EXPECT_TRUE(index) << (index ? "" : index.error().message);
    return index ? *std::move(index) : nullptr;
  }
  [[nodiscard]] std::string folder() const { return folder_.path() + "/" + name_; }
  static std::string body(int n) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += std::to_string(n * 7919 + i * 104'729) + ",";
    return text;
  }

  /// Flips a bit in every 97th byte of the files whose names contain `part`.
  [[nodiscard]] int damage(std::string_view part) const {
    int files = 0;
    for (const auto& entry : fs::directory_iterator(folder() + "/index")) {
      if (entry.path().filename().string().find(part) == std::string::npos) continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      const auto size = fs::file_size(entry.path());
      if (size == 0) continue;
      ++files;
      for (std::uintmax_t at = 11; at < size; at += 97) {
        file.seekg(static_cast<std::streamoff>(at));
        const char byte = static_cast<char>(file.get());
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(byte ^ 0x10));
      }
    }
    return files;
  }

  temp_folder folder_;
  std::string name_ = "member";
};

TEST_F(member_index_test, gives_back_what_was_put_and_survives_a_restart) {
  auto index = open();
  ASSERT_TRUE(index);
  index->put_state(partition_id(2), "two");
  index->put_state(partition_id(3), "three");
  index->put_body(partition_id(2), 7, "lines");
  EXPECT_EQ(index->body(partition_id(2), 7), "lines");
  EXPECT_EQ(index->body(partition_id(2), 8), std::nullopt);
  index->remove_body(partition_id(2), 7);
  EXPECT_EQ(index->body(partition_id(2), 7), std::nullopt);
  index.reset();
  index = open();
  EXPECT_EQ(index->state(partition_id(2)), "two");
  EXPECT_EQ(index->state(partition_id(3)), "three");
  EXPECT_EQ(index->rebuilds(), 0);
}

TEST_F(member_index_test, tells_what_it_takes) {
  const auto index = open();
  index->put_body(partition_id(2), 7, std::string(10'000, 'x'));
  EXPECT_GT(index->usage().keys, 0);
  EXPECT_GT(index->usage().memtable_bytes, 10'000);
  EXPECT_GT(index->disk_bytes(), 0);
}

TEST_F(member_index_test, forgets_the_bodies_of_one_partition_only) {
  auto index = open();
  for (const std::int64_t offset : {1, 300, 70'000}) {
    index->put_body(partition_id(1), offset, "a");
    index->put_body(partition_id(2), offset, "b");
  }
  index->remove_bodies(partition_id(1));
  EXPECT_EQ(index->body(partition_id(1), 300), std::nullopt);
  EXPECT_EQ(index->body(partition_id(2), 70'000), "b");
}

TEST_F(member_index_test, one_process_at_a_time) {
  const auto index = open();
  const auto second = member_index::open(folder());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, failure_kind::usage);
}

// What the store writes next may still fit into files it made ahead.
TEST_F(member_index_test, is_full_before_a_write_fails_and_goes_on_when_there_is_room) {
  std::optional<std::uintmax_t> room = 1u << 30;
  auto opened = member_index::open(folder(), [&](const std::string&) { return room; });
  ASSERT_TRUE(opened);
  auto& index = **opened;
  index.probe();
  EXPECT_FALSE(index.full());
  room = 0;
  index.probe();
  EXPECT_TRUE(index.full());
  room = std::nullopt;
  index.probe();
  EXPECT_TRUE(index.full()) << "unknown is no news";
  room = 1u << 30;
  index.probe();
  EXPECT_FALSE(index.full());
  room = std::nullopt;
  index.probe();
  EXPECT_FALSE(index.full());
}

// A clean end leaves nothing in the write-ahead log, so what a kill leaves is copied while it runs.
TEST_F(member_index_test, a_damaged_write_ahead_log_is_noticed) {
  auto index = open();
  for (int n = 0; n < 200; ++n) index->put_state(partition_id(0), body(n));
  fs::copy(folder(), folder_.path() + "/killed", fs::copy_options::recursive);
  name_ = "killed";
  ASSERT_GT(damage(".log"), 0);
  const auto again = open();
  ASSERT_TRUE(again);
  EXPECT_GT(again->rebuilds(), 0);
  EXPECT_EQ(again->state(partition_id(0)), std::nullopt);
}

class damaged_index : public member_index_test, public testing::WithParamInterface<const char*> {};

// Whatever was damaged, what comes back is what was put or nothing, and it works from there on.
TEST_P(damaged_index, is_rebuilt_and_never_lies) {
  constexpr int bodies = 40'000;  // enough to be flushed into tables
  {
    auto index = open();
    for (int n = 0; n < bodies; ++n) index->put_body(partition_id(0), n, body(n));
    index->put_state(partition_id(0), std::string(50'000, 's'));
  }
  ASSERT_GT(damage(GetParam()), 0);
  auto index = open();
  ASSERT_TRUE(index);
  const auto state = index->state(partition_id(0));
  EXPECT_TRUE(!state || *state == std::string(50'000, 's'));
  for (int n = 0; n < bodies; n += 17) {
    const auto got = index->body(partition_id(0), n);
    EXPECT_TRUE(!got || *got == body(n)) << n;
  }
  EXPECT_GT(index->rebuilds(), 0) << "the damage went unnoticed";
  index->put_state(partition_id(0), "new");
  EXPECT_EQ(index->state(partition_id(0)), "new");
  EXPECT_FALSE(index->full());
}
INSTANTIATE_TEST_SUITE_P(files, damaged_index, testing::Values(".sst", "MANIFEST", "CURRENT"),
                         [](const auto& p) {
                           std::string name;
                           for (const char c : std::string(p.param))
                             if (std::isalpha(static_cast<unsigned char>(c))) name.push_back(c);
                           return name;
                         });

}  // namespace
}  // namespace spillway::kafka
