#include "connectors/kafka/partition_read.hpp"

#include <algorithm>

namespace spillway::kafka {

namespace {

/// Producers of these are transactional and alone: chunks of a set stand side by side.
chunk_writers writers_of(topic t) {
  return t == topic::results || t == topic::journal ? chunk_writers::one : chunk_writers::many;
}

}  // namespace

partition_read::partition_read(topic from, std::int64_t offset, std::optional<std::int64_t> until)
    : from_(from), position_(offset), until_(until), assembler_(writers_of(from)), told_(offset) {}

/// A transaction's marker takes one offset, so a gap of one says little; input may come from
/// producers without transactions, where it says a lot.
bool partition_read::suspicious(std::int64_t offset) {
  const auto gap = offset - position_;
  if (checked_ == position_) {
    if (offset < doubted_) ++gaps_healed_;
    checked_.reset();
    return false;
  }
  if (gap <= 0 || (gap == 1 && from_ != topic::shards)) return false;
  checked_ = position_;
  doubted_ = offset;
  ++gaps_checked_;
  return true;
}

partition_read::advice partition_read::add(stored_record&& r) {
  if (ended()) return advice::ended;
  if (r.offset < position_) return advice::taken;  // from before reading again
  if (suspicious(r.offset)) return advice::again;
  if (until_ && r.offset >= *until_) {
    position_ = *until_;
    return advice::ended;
  }
  position_ = r.offset + 1;
  if (auto whole = assembler_.add(std::move(r))) {
    batch_bytes_ += wire_bytes(whole->what);
    batch_.push_back(std::move(*whole));
  }
  return ended() ? advice::ended : advice::taken;
}

partition_read::advice partition_read::reached(std::int64_t offset) {
  if (offset > position_) {
    if (suspicious(offset)) return advice::again;
    position_ = until_ ? std::min(offset, *until_) : offset;
  }
  return ended() ? advice::ended : advice::taken;
}

void partition_read::skip_deleted(std::int64_t first) {
  position_ = std::max(position_, until_ ? std::min(first, *until_) : first);
  checked_.reset();
  assembler_.clear();
}

std::int64_t partition_read::safe_position() const {
  if (ended()) return position_;
  return std::min(position_, assembler_.open_from().value_or(position_));
}

bool partition_read::fresh() const { return !batch_.empty() || safe_position() > told_; }

link_records partition_read::take() {
  link_records out;
  out.records = std::exchange(batch_, {});
  out.next_offset = safe_position();
  out.end = ended();
  batch_bytes_ = 0;
  told_ = out.next_offset;
  return out;
}

}  // namespace spillway::kafka
