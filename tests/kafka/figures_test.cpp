// Figures of links on this machine; no test of anything. Run with --gtest_also_run_disabled_tests.
#include "connectors/kafka/fleet_clients.hpp"
#include "connectors/kafka/log_tools.hpp"
#include "tests/kafka/broker.hpp"
#include "tests/support/link_contract_records.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <numeric>
#include <thread>

namespace spillway::kafka {
namespace {

using clock = std::chrono::steady_clock;

double ms_since(clock::time_point from) {
  return std::chrono::duration<double, std::milli>(clock::now() - from).count();
}
double percentile(std::vector<double> v, double p) {
  std::sort(v.begin(), v.end());
  return v[static_cast<std::size_t>(p * static_cast<double>(v.size() - 1))];
}
std::size_t threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

/// Waits on a condition variable, so that the figures hold no polling.
class timed_link {
 public:
  timed_link(fleet_clients& clients, int partition)
      : link_(clients.make_link(
            {partition, [this](link_event&& e) { take(std::move(e)); }, nullptr})) {}
  partition_link& operator*() { return *link_; }
  partition_link* operator->() { return link_.get(); }
  template <class Event>
  Event wait() {
    std::unique_lock lock(mutex_);
    const auto wanted = [](const link_event& e) { return std::holds_alternative<Event>(e); };
    came_.wait(lock, [&] { return std::any_of(events_.begin(), events_.end(), wanted); });
    const auto at = std::find_if(events_.begin(), events_.end(), wanted);
    auto out = std::get<Event>(std::move(*at));
    events_.erase(at);
    return out;
  }
  std::atomic<std::int64_t> records = 0;
  std::atomic<bool> end = false;

 private:
  void take(link_event&& e) {
    if (const auto* batch = std::get_if<link_records>(&e)) {
      records += static_cast<std::int64_t>(batch->records.size());
      end = batch->end;
      return;
    }
    if (const auto* failed = std::get_if<link_failed>(&e))
      std::printf("%s\n", failed->message.c_str());
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(e));
    came_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<link_event> events_;
  std::unique_ptr<partition_link> link_;
};

/// 1,000 results of 1 KiB a transaction.
void write_transactions(timed_link& link, std::int64_t total) {
  const auto from = clock::now();
  for (std::int64_t sent = 0; sent < total;) {
    for (int g = 0; g < 10; ++g, sent += 100) {
      std::vector<outgoing_record> batch;
      for (int i = 0; i < 100; ++i)
        batch.push_back(result_of("job/12345678", std::string(1024, 'r')));
      link->produce(static_cast<std::uint64_t>(sent), std::move(batch));
    }
    for (int g = 0; g < 10; ++g) link.wait<link_acked>();
    link->commit();
    link.wait<link_committed>();
  }
  std::printf("one link, 1,000 results of 1 KiB a transaction: %.0f records/s\n",
              static_cast<double>(total) / (ms_since(from) / 1000));
}

TEST(figures, DISABLED_links) {
  constexpr int count = 16;
  const auto settings = fresh_fleet_with_topics(count);
  auto clients = fleet_clients::connect(settings);
  ASSERT_TRUE(clients);
  const auto threads_before = threads();
  std::vector<std::unique_ptr<timed_link>> links;
  for (int p = 0; p < count; ++p) links.push_back(std::make_unique<timed_link>(**clients, p));

  std::vector<double> open;
  for (int p = 0; p < 4; ++p) {
    const auto from = clock::now();
    (*links[p])->open();
    links[p]->wait<link_opened>();
    open.push_back(ms_since(from));
  }
  auto from = clock::now();
  for (int p = 4; p < count; ++p) (*links[p])->open();
  for (int p = 4; p < count; ++p) links[p]->wait<link_opened>();
  std::printf("open alone: p50 %.0f ms; 12 at once: %.0f ms in all\n", percentile(open, 0.5),
              ms_since(from));

  std::vector<double> take_over;
  for (int p = 4; p < 10; ++p) {
    (*links[p])->produce(0, {journal_of("open")});
    links[p]->wait<link_acked>();
    timed_link successor(**clients, p);
    from = clock::now();
    successor->open();
    successor.wait<link_opened>();
    take_over.push_back(ms_since(from));
  }
  std::printf("open over a predecessor's open transaction: p50 %.0f max %.0f ms\n",
              percentile(take_over, 0.5), percentile(take_over, 1));

  auto& link = *links[0];
  std::vector<double> ack, commit;
  for (int i = 0; i < 200; ++i) {
    from = clock::now();
    link->produce(0, {journal_of(std::string(60, 'i'))});
    link.wait<link_acked>();
    if (i >= 20) ack.push_back(ms_since(from));
    if (i % 10 != 9) continue;
    from = clock::now();
    link->commit();
    link.wait<link_committed>();
    commit.push_back(ms_since(from));
  }
  std::printf("intent ack p50 %.2f p99 %.2f ms; commit p50 %.2f p99 %.2f ms\n",
              percentile(ack, 0.5), percentile(ack, 0.99), percentile(commit, 0.5),
              percentile(commit, 0.99));
  std::printf("threads: %.1f a link (of which 1 ours)\n",
              static_cast<double>(threads() - threads_before) / count);

  for (const int n : {1, 4}) {  // links 4 to 9 are fenced
    std::vector<std::thread> workers;
    std::atomic<int> done = 0;
    from = clock::now();
    for (int p = 0; p < n; ++p)
      workers.emplace_back([&, p] {
        while (ms_since(from) < 4000) {
          (*links[p])->produce(0, {journal_of("x"), result_of("k", std::string(500, 'r'))});
          links[p]->wait<link_acked>();
          (*links[p])->commit();
          links[p]->wait<link_committed>();
          ++done;
        }
      });
    for (auto& w : workers) w.join();
    std::printf("%d links: %.0f transactions/s in all\n", n, done / (ms_since(from) / 1000));
  }

  write_transactions(link, 200'000);
}

/// How fast a partition is read that transactions wrote, or others.
void show_reading(const kafka_settings& settings, const char* what) {
  auto clients = fleet_clients::connect(settings);
  ASSERT_TRUE(clients);
  for (const bool committed : {true, false}) {
    timed_link link(**clients, 0);
    link->ask_offsets(topic::results);
    const auto end = link.wait<link_offsets>().last_stable;
    const auto from = clock::now();
    link->read({1, topic::results, 0, end, committed});
    while (!link.end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::printf("%s, read %scommitted: %.0f records/s\n", what, committed ? "" : "un",
                static_cast<double>(link.records) / (ms_since(from) / 1000));
  }
}

TEST(figures, DISABLED_reading) {
  constexpr int total = 200'000;
  const auto plain = fresh_fleet_with_topics(1);
  {
    auto tools = log_tools::connect(plain);
    ASSERT_TRUE(tools);
    std::vector<placed_record> records;
    for (int i = 0; i < total; ++i)
      records.push_back({topic::results, 0, {"job/12345678", std::string(1024, 'r'), false, {}}});
    const auto from = clock::now();
    ASSERT_TRUE((*tools)->store(std::move(records)));
    std::printf("plain producer: %.0f records/s\n", total / (ms_since(from) / 1000));
  }
  show_reading(plain, "written plainly");
  const auto transactional = fresh_fleet_with_topics(1);
  {
    auto clients = fleet_clients::connect(transactional);
    ASSERT_TRUE(clients);
    timed_link link(**clients, 0);
    link->open();
    link.wait<link_opened>();
    write_transactions(link, total);
  }
  show_reading(transactional, "written in transactions");
}

TEST(figures, DISABLED_submitting) {
  constexpr int shards = 800, partitions = 8;
  const std::string lines(512 * 1024, 'l');
  const auto shard = [&](int i) {
    return placed_record{
        topic::shards, i % partitions, {"", lines, false, {{"spillway-format", "shard/1"}}}};
  };
  const auto show = [&](const char* what, clock::time_point from) {
    std::printf("%s: %.0f MB/s\n", what, shards * 0.524288 / (ms_since(from) / 1000));
  };
  const auto settings = fresh_fleet_with_topics(partitions);
  auto writer = transaction_writer::open(settings, submitter_id(settings, "job"));
  ASSERT_TRUE(writer);
  auto from = clock::now();
  for (int i = 0; i < shards; ++i) {
    ASSERT_TRUE((*writer)->produce(shard(i)));
    if (i % 128 == 127) {
      ASSERT_TRUE((*writer)->wait_stored());
      ASSERT_TRUE((*writer)->commit());
    }
  }
  ASSERT_TRUE((*writer)->commit());
  show("transactions of 64 MB of shards", from);
  auto tools = log_tools::connect(settings);
  ASSERT_TRUE(tools);
  std::vector<placed_record> records;
  for (int i = 0; i < shards; ++i) records.push_back(shard(i));
  from = clock::now();
  ASSERT_TRUE((*tools)->store(std::move(records)));
  show("the same bytes plainly", from);
}

}  // namespace
}  // namespace spillway::kafka
