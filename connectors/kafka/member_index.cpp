#include "connectors/kafka/member_index.hpp"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <mutex>

namespace spillway::kafka {
namespace {

void put_number(std::string& key, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(value >> shift));
}

std::string state_key(partition_id p) {
  std::string key = "i";
  put_number(key, p.value());
  return key;
}

std::string body_key(partition_id p, std::int64_t offset) {
  std::string key = "b";
  put_number(key, p.value());
  put_number(key, static_cast<std::uint64_t>(offset));
  return key;
}

// The store has room of its own in files made ahead: it would notice a full disk only when it
// needs the next file, and a write that fails there costs a reopening.
constexpr std::uintmax_t room_min = 1u << 20, room_enough = 2u << 20;

std::optional<std::uintmax_t> room_in(const std::string& folder) {
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  if (error) return std::nullopt;
  return space.available;
}

}  // namespace

result<std::unique_ptr<member_index>> member_index::open(const std::string& folder,
                                                         room_source room) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return failure{failure_kind::storage, "can't create " + folder + ": " + error.message() +
                                              "; choose another folder with member.state"};
  std::unique_ptr<member_index> index(
      new member_index(folder + "/index", room ? std::move(room) : room_in));
  if (auto begun = index->begin(); !begun) return begun.error();
  return index;
}

result<void> member_index::begin() {
  auto opened = open_rocksdb_cache(folder_);
  if (!opened && opened.error().kind == failure_kind::storage && !is_disk_full(opened.error())) {
    spdlog::warn("the local index is damaged and will be rebuilt from Kafka: {}",
                 opened.error().message);
    ++rebuilds_;
    if (auto gone = destroy_rocksdb(folder_); !gone) {
      // What RocksDB itself can't make sense of is deleted as plain files.
      std::error_code error;
      std::filesystem::remove_all(folder_, error);
      if (error) return gone;
    }
    opened = open_rocksdb_cache(folder_);
  }
  if (!opened) return opened.error();
  store_ = *std::move(opened);
  return {};
}

/// `seen` is the store that failed: another thread may have replaced it meanwhile.
void member_index::recover(const failure& f, const index_store* seen) {
  const std::unique_lock lock(mutex_);
  if (store_.get() != seen && store_) return;
  const bool no_room = is_disk_full(f);
  if (no_room) ran_out();
  store_.reset();
  if (!no_room) {
    spdlog::warn("the local index is damaged and will be rebuilt from Kafka: {}", f.message);
    ++rebuilds_;
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }
  // After a failed write the store refuses all others until it is opened again.
  if (const auto begun = begin(); !begun) {
    if (!full_.exchange(true))
      spdlog::error("the local index can't be opened: sending pauses until it can: {}",
                    begun.error().message);
  }
}

void member_index::ran_out() {
  if (full_.exchange(true)) return;
  spdlog::error("the local index in {} has no room: sending pauses until there is some", folder_);
}

void member_index::write(const std::vector<index_write>& writes, write_safety safety) {
  std::optional<failure> bad;
  const index_store* seen = nullptr;
  {
    const std::shared_lock lock(mutex_);
    seen = store_.get();
    if (!seen)
      bad = failure{failure_kind::storage, folder_ + " is not open: No space left on device"};
    else if (const auto done = store_->write(writes, safety); !done)
      bad = done.error();
  }
  if (bad) return recover(*bad, seen);
}

std::optional<std::string> member_index::get(const std::string& key) {
  std::optional<failure> bad;
  const index_store* seen = nullptr;
  {
    const std::shared_lock lock(mutex_);
    seen = store_.get();
    if (!seen) return std::nullopt;
    auto value = store_->get(key);
    if (value) return *std::move(value);
    bad = value.error();
  }
  recover(*bad, seen);
  return std::nullopt;
}

index_usage member_index::usage() {
  const std::shared_lock lock(mutex_);
  return store_ ? store_->usage() : index_usage{};
}

std::int64_t member_index::disk_bytes() const {
  std::int64_t sum = 0;
  std::error_code error;
  // Files come and go meanwhile.
  for (std::filesystem::directory_iterator at(folder_, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    if (const auto size = at->file_size(gone); !gone) sum += static_cast<std::int64_t>(size);
  }
  return sum;
}

std::optional<std::string> member_index::state(partition_id p) { return get(state_key(p)); }

void member_index::put_state(partition_id p, std::string blob) {
  write({{state_key(p), std::move(blob)}}, write_safety::kill);
}

std::optional<std::string> member_index::body(partition_id p, std::int64_t offset) {
  return get(body_key(p, offset));
}

void member_index::put_body(partition_id p, std::int64_t offset, std::string lines) {
  write({{body_key(p, offset), std::move(lines)}}, write_safety::nothing);
}

void member_index::remove_body(partition_id p, std::int64_t offset) {
  write({{body_key(p, offset), std::nullopt}}, write_safety::nothing);
}

void member_index::remove_bodies(partition_id p) {
  std::string prefix = "b";
  put_number(prefix, p.value());
  std::vector<index_write> gone;
  {
    const std::shared_lock lock(mutex_);
    if (!store_) return;
    const auto scanned = store_->scan(prefix, [&](std::string_view key, std::string_view) {
      gone.push_back({std::string(key), std::nullopt});
      return true;
    });
    if (!scanned) return;  // found again, and met, by whoever reads it
  }
  if (!gone.empty()) write(gone, write_safety::nothing);
}

void member_index::probe() {
  const auto room = room_(folder_);
  if (!full_.load()) {
    if (room && *room < room_min) ran_out();
    return;
  }
  if (!room || *room < room_enough) return;
  std::string filler = "spillway";
  write({{"probe", filler}}, write_safety::power_loss);
  const std::shared_lock lock(mutex_);
  if (!store_) return;
  if (store_->write({{"probe", filler}}, write_safety::power_loss)) {
    if (full_.exchange(false))
      spdlog::info("there is room for the local index again: sending goes on");
  }
}

}  // namespace spillway::kafka
