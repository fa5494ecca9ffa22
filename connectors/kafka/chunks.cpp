#include "connectors/kafka/chunks.hpp"

#include <algorithm>
#include <charconv>

namespace spillway::kafka {

namespace {

/// Lengths, offsets, timestamps and the frame of a batch of one record.
constexpr std::size_t framing_bytes = 128, header_framing_bytes = 10;
/// Numbers and separators of the chunk header behind the set's id.
constexpr std::size_t chunk_numbers_bytes = 24;
constexpr std::uint32_t chunks_max = 1u << 20;
constexpr std::string_view repeated_header = "job";

std::size_t bytes_of(const std::pair<std::string, std::string>& header) {
  return header.first.size() + header.second.size() + header_framing_bytes;
}

struct chunk_place {
  std::string_view set;
  std::uint32_t number = 0, count = 0;
};

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t value = 0;
  const auto* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

std::optional<chunk_place> place_of(std::string_view text) {
  const auto second = text.rfind('/');
  if (second == std::string_view::npos || second == 0) return std::nullopt;
  const auto first = text.rfind('/', second - 1);
  if (first == std::string_view::npos || first == 0) return std::nullopt;
  const auto number = number_of(text.substr(first + 1, second - first - 1));
  const auto count = number_of(text.substr(second + 1));
  if (!number || !count || *number >= *count || *count > chunks_max) return std::nullopt;
  return chunk_place{text.substr(0, first), *number, *count};
}

void remove_chunk_header(record& r) {
  std::erase_if(r.headers, [](const auto& h) { return h.first == chunk_header; });
}

}  // namespace

std::size_t wire_bytes(const record& r) {
  std::size_t bytes = framing_bytes + r.key.size() + r.value.size();
  for (const auto& header : r.headers) bytes += bytes_of(header);
  return bytes;
}

std::vector<record> split(record r, std::size_t bytes_max, std::string_view set) {
  std::vector<record> out;
  const auto whole = wire_bytes(r);
  const auto around = whole - r.value.size() + chunk_header.size() + set.size() +
                      chunk_numbers_bytes + header_framing_bytes;
  if (whole <= bytes_max || r.tombstone || around >= bytes_max) {
    out.push_back(std::move(r));
    return out;
  }
  const auto piece = bytes_max - around;
  const auto count = (r.value.size() + piece - 1) / piece;
  for (std::size_t i = 0; i < count; ++i) {
    record chunk;
    chunk.key = r.key;
    chunk.value = r.value.substr(i * piece, piece);
    for (const auto& header : r.headers)
      if (i == 0 || header.first == repeated_header) chunk.headers.push_back(header);
    chunk.headers.emplace_back(
        chunk_header, std::string(set) + "/" + std::to_string(i) + "/" + std::to_string(count));
    out.push_back(std::move(chunk));
  }
  return out;
}

std::optional<stored_record> chunk_assembler::add(stored_record r) {
  const auto header = r.what.header(chunk_header);
  const auto place = header ? place_of(*header) : std::nullopt;
  if (!place) {
    // A header of somebody else that only has the name: the record is what it is.
    if (writers_ == chunk_writers::one)
      while (!open_.empty()) drop(open_.begin());
    return r;
  }
  const std::string set(place->set);  // the record it points into is moved from
  return extend(set, place->number, place->count, std::move(r));
}

std::optional<stored_record> chunk_assembler::extend(std::string_view id, std::uint32_t number,
                                                     std::uint32_t count, stored_record&& r) {
  auto at = open_.find(id);
  if (writers_ == chunk_writers::one) {
    const bool follows = at != open_.end() && r.offset == at->second.last_offset + 1;
    if (!follows && !open_.empty()) {
      while (!open_.empty()) drop(open_.begin());
      at = open_.end();
    }
  }
  if (at == open_.end()) {
    if (number != 0) return std::nullopt;  // its beginning is missing: counted when it was dropped
    make_room(r.offset);
    remove_chunk_header(r.what);
    at = open_.emplace(std::string(id), open_set{{}, 0, count, r.offset}).first;
    at->second.head = std::move(r);
    at->second.next = 1;
    bytes_ += at->second.head.what.value.size();
  } else {
    auto& set = at->second;
    if (number < set.next && count == set.count) return std::nullopt;  // stored twice
    if (number != set.next || count != set.count) {
      drop(at);
      return std::nullopt;
    }
    set.head.what.value += r.what.value;
    set.last_offset = r.offset;
    ++set.next;
    bytes_ += r.what.value.size();
  }
  if (at->second.next == at->second.count) {
    auto whole = std::move(at->second.head);
    bytes_ -= whole.what.value.size();
    open_.erase(at);
    return whole;
  }
  while (bytes_ > limits_.bytes_max && !open_.empty()) drop_oldest();
  return std::nullopt;
}

std::optional<std::int64_t> chunk_assembler::open_from() const {
  std::optional<std::int64_t> first;
  for (const auto& [id, set] : open_)
    if (!first || set.head.offset < *first) first = set.head.offset;
  return first;
}

void chunk_assembler::clear() {
  open_.clear();
  bytes_ = 0;
}

void chunk_assembler::drop(sets::iterator at) {
  bytes_ -= at->second.head.what.value.size();
  open_.erase(at);
  ++dropped_;
}

void chunk_assembler::drop_oldest() {
  drop(std::min_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
    return a.second.head.offset < b.second.head.offset;
  }));
}

void chunk_assembler::make_room(std::int64_t offset) {
  for (auto at = open_.begin(); at != open_.end();) {
    const auto set = at++;
    if (offset - set->second.head.offset > limits_.distance_max) drop(set);
  }
  while (open_.size() >= limits_.sets_max) drop_oldest();
}

}  // namespace spillway::kafka
