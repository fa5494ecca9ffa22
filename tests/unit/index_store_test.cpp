// What every store behind the seam promises; and what a second owner sees.
#include "orchestrator/runtime/index_store.hpp"
#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace spillway {
namespace {

using pairs = std::vector<std::pair<std::string, std::string>>;

std::unique_ptr<index_store> open(const temp_folder& folder, bool create = false) {
  auto store = open_rocksdb(folder / "store", create);
  EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().message);
  return *std::move(store);
}

pairs scan(index_store& store, std::string_view prefix) {
  pairs out;
  EXPECT_TRUE(store.scan(prefix, [&](std::string_view key, std::string_view value) {
    out.emplace_back(key, value);
    return true;
  }));
  return out;
}

TEST(index_store, gets_what_was_written) {
  const temp_folder folder;
  auto store = open(folder, true);
  EXPECT_EQ(store->get("a").value(), std::nullopt);
  const std::string key("k\0\xff", 3), value("v\0", 2);
  ASSERT_TRUE(store->write({{key, value}, {"empty", ""}, {"gone", "x"}, {"gone", std::nullopt}}));
  EXPECT_EQ(store->get(key).value(), value);
  EXPECT_EQ(store->get("empty").value(), "");
  EXPECT_EQ(store->get("gone").value(), std::nullopt);
  ASSERT_TRUE(store->write({{key, "new"}, {"absent", std::nullopt}}));
  EXPECT_EQ(store->get(key).value(), "new");
  ASSERT_TRUE(store->write({}));
}

TEST(index_store, scans_a_prefix_in_order_of_bytes) {
  const temp_folder folder;
  auto store = open(folder, true);
  ASSERT_TRUE(store->write({{"b\x80", "3"}, {"b\x7f", "2"}, {"a", "0"}, {"b", "1"}, {"c", "4"}}));
  EXPECT_EQ(scan(*store, "b"), (pairs{{"b", "1"}, {"b\x7f", "2"}, {"b\x80", "3"}}));
  EXPECT_EQ(scan(*store, "x"), pairs{});
  EXPECT_EQ(scan(*store, "").size(), 5u);
  int visits = 0;
  ASSERT_TRUE(store->scan("b", [&](std::string_view, std::string_view) { return ++visits < 2; }));
  EXPECT_EQ(visits, 2) << "stops when told";
}

TEST(index_store, holds_what_was_written_over_reopens) {
  const temp_folder folder;
  std::mt19937_64 random(1);
  std::map<std::string, std::string> model;
  auto store = open(folder, true);
  for (int i = 0; i < 300; ++i) {
    std::vector<index_write> writes;
    for (auto n = 1 + random() % 5; n > 0; --n) {
      const auto key = "k" + std::to_string(random() % 100);
      if (random() % 3 == 0) {
        writes.push_back({key, std::nullopt});
        model.erase(key);
      } else {
        const std::string value(random() % 2'000, static_cast<char>(random()));
        writes.push_back({key, value});
        model[key] = value;
      }
    }
    ASSERT_TRUE(store->write(writes));
    if (i % 60 != 59) continue;
    store.reset();
    store = open(folder);
    EXPECT_EQ(scan(*store, "k"), pairs(model.begin(), model.end()));
  }
}

TEST(index_store, a_second_owner_is_refused) {
  const temp_folder folder;
  auto store = open(folder, true);
  const auto second = open_rocksdb(folder / "store", false);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind, failure_kind::usage);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos);
  store.reset();
  EXPECT_TRUE(open_rocksdb(folder / "store", false).has_value());
}

TEST(index_store, creating_and_opening_are_not_the_same) {
  const temp_folder folder;
  const auto absent = open_rocksdb(folder / "store", false);
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error().kind, failure_kind::storage);
  open(folder, true).reset();
  EXPECT_FALSE(open_rocksdb(folder / "store", true).has_value()) << "nothing is overwritten";
}

TEST(index_store, damage_is_a_storage_failure) {
  const temp_folder folder;
  {
    auto store = open(folder, true);
    for (int i = 0; i < 100; ++i)
      ASSERT_TRUE(store->write({{"k" + std::to_string(i), std::string(1'000, 'v')}}));
  }
  // In the middle of what was synced last, with good records behind it.
  std::string damaged;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "store"))
    if (entry.path().extension() == ".log" && entry.file_size() > 10'000) damaged = entry.path();
  ASSERT_FALSE(damaged.empty());
  {
    std::fstream file(damaged, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(20'000);
    file << "damage";
  }
  const auto store = open_rocksdb(folder / "store", false);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().kind, failure_kind::storage);
}

TEST(index_store, a_torn_last_record_is_what_a_kill_leaves) {
  const temp_folder folder;
  {
    auto store = open(folder, true);
    for (int i = 0; i < 10; ++i)
      ASSERT_TRUE(store->write({{"k" + std::to_string(i), std::string(1'000, 'v')}}));
  }
  std::string log;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "store"))
    if (entry.path().extension() == ".log" && entry.file_size() > 5'000) log = entry.path();
  ASSERT_FALSE(log.empty());
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 10);
  auto store = open(folder);
  EXPECT_EQ(scan(*store, "k").size(), 9u);
}

}  // namespace
}  // namespace spillway
