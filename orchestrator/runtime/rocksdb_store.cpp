#include "orchestrator/runtime/index_store.hpp"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

namespace spillway {
namespace {

failure storage_failure(const std::string& path, const rocksdb::Status& status) {
  std::string remedy;
  if (status.IsNoSpace() || status.ToString().find("No space left") != std::string::npos)
    remedy = "; free some space and repeat the command";
  else if (status.IsCorruption())
    remedy =
        "; the state is damaged: restore it from a copy, or start anew with --overwrite "
        "(answers already paid for stay in the output file until then)";
  else if (status.ToString().find("Read-only") != std::string::npos ||
           status.ToString().find("Permission denied") != std::string::npos)
    remedy = "; make the folder writable or choose another with --state";
  return {failure_kind::storage, "state " + path + ": " + status.ToString() + remedy};
}

/// RocksDB's own log would be a file beside the data, and a full disk there aborts the process: a
/// second line after one that could not be written fails an assertion.
class no_log final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

class rocksdb_store final : public index_store {
 public:
  rocksdb_store(std::string path, std::unique_ptr<rocksdb::DB> db)
      : path_(std::move(path)), db_(std::move(db)) {}

  result<void> write(const std::vector<index_write>& writes, write_safety safety) override {
    rocksdb::WriteBatch batch;
    for (const auto& w : writes) {
      const auto status = w.value ? batch.Put(w.key, *w.value) : batch.Delete(w.key);
      if (!status.ok()) return storage_failure(path_, status);
    }
    rocksdb::WriteOptions options;
    options.sync = safety == write_safety::power_loss;
    options.disableWAL = safety == write_safety::nothing;
    if (const auto status = db_->Write(options, &batch); !status.ok())
      return storage_failure(path_, status);
    return {};
  }

  result<std::optional<std::string>> get(std::string_view key) override {
    std::string value;
    const auto status = db_->Get({}, rocksdb::Slice(key.data(), key.size()), &value);
    if (status.IsNotFound()) return std::optional<std::string>{};
    if (!status.ok()) return storage_failure(path_, status);
    return std::optional<std::string>(std::move(value));
  }

  result<void> scan(std::string_view prefix,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
    const rocksdb::Slice start(prefix.data(), prefix.size());
    for (it->Seek(start); it->Valid() && it->key().starts_with(start); it->Next())
      if (!visit({it->key().data(), it->key().size()}, {it->value().data(), it->value().size()}))
        break;
    if (!it->status().ok()) return storage_failure(path_, it->status());
    return {};
  }

  index_usage usage() const override {
    const auto number = [&](const std::string& property) {
      std::uint64_t value = 0;
      return db_->GetIntProperty(property, &value) ? static_cast<std::int64_t>(value) : 0;
    };
    return {number(rocksdb::DB::Properties::kEstimateNumKeys),
            number(rocksdb::DB::Properties::kCurSizeAllMemTables)};
  }

 private:
  std::string path_;
  std::unique_ptr<rocksdb::DB> db_;
};

rocksdb::Options common_options() {
  rocksdb::Options options;
  options.write_buffer_size = 16u << 20;
  options.max_write_buffer_number = 3;
  options.max_open_files = 64;
  options.info_log = std::make_shared<no_log>();
  options.max_bgerror_resume_count = 0;  // a failed write ends the run: nothing to retry behind it
  options.max_background_jobs = 2;
  options.stats_dump_period_sec = 0;
  // A torn last record is what a kill leaves; damage before it must be an error, not a roll-back.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  return options;
}

result<std::unique_ptr<index_store>> open_with(const rocksdb::Options& options,
                                               const std::string& path) {
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::Open(options, path, &raw);
  if (!status.ok()) {
    const auto text = status.ToString();
    if (status.IsIOError() && text.find("lock") != std::string::npos)
      return failure{failure_kind::usage,
                     "state " + path +
                         " is in use by another process; wait for it to end, or "
                         "choose another output"};
    return storage_failure(path, status);
  }
  return std::unique_ptr<index_store>(
      std::make_unique<rocksdb_store>(path, std::unique_ptr<rocksdb::DB>(raw)));
}

}  // namespace

result<std::unique_ptr<index_store>> open_rocksdb(const std::string& path, bool create) {
  auto options = common_options();
  options.create_if_missing = create;
  options.error_if_exists = create;
  return open_with(options, path);
}

result<std::unique_ptr<index_store>> open_rocksdb_cache(const std::string& path) {
  auto options = common_options();
  options.create_if_missing = true;
  options.compression = rocksdb::kLZ4Compression;
  options.target_file_size_base = 64u << 20;
  return open_with(options, path);
}

result<void> destroy_rocksdb(const std::string& path) {
  const auto status = rocksdb::DestroyDB(path, common_options());
  if (!status.ok()) return storage_failure(path, status);
  return {};
}

bool is_disk_full(const failure& f) {
  return f.message.find("No space left") != std::string::npos ||
         f.message.find("NoSpace") != std::string::npos;
}

}  // namespace spillway
