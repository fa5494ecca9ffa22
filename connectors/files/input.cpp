#include "connectors/files/input.hpp"

#include "connectors/files/checksum.hpp"
#include "connectors/jsonl.hpp"

#include <fcntl.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace spillway {
namespace {

failure unreadable(const std::string& name) {
  return {failure_kind::usage, "input " + name + ": " + std::strerror(errno)};
}

}  // namespace

result<input_reader> input_reader::open(const std::vector<std::string>& names,
                                        std::size_t line_bytes_max) {
  input_reader reader;
  reader.line_bytes_max_ = line_bytes_max;
  for (const auto& name : names) {
    if (!simdjson::validate_utf8(name))
      return failure{failure_kind::usage,
                     "an input's name is not valid UTF-8; every row names its "
                     "input, so rename the file"};
    const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return unreadable(name);
    reader.fds_.push_back(fd);
    struct stat info {};
    if (::fstat(fd, &info) != 0) return unreadable(name);
    if (!S_ISREG(info.st_mode))
      return failure{failure_kind::usage, "input " + name + " is not a regular file"};
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    reader.files_.push_back({name, static_cast<std::uint64_t>(info.st_size)});
  }
  return reader;
}

input_reader::~input_reader() {
  for (const int fd : fds_) ::close(fd);
}

input_reader::input_reader(input_reader&& other) noexcept { *this = std::move(other); }

input_reader& input_reader::operator=(input_reader&& other) noexcept {
  std::swap(files_, other.files_);
  std::swap(fds_, other.fds_);
  line_bytes_max_ = other.line_bytes_max_;
  file_ = other.file_;
  offset_ = other.offset_;
  line_ = other.line_;
  next_shard_ = other.next_shard_;
  return *this;
}

std::uint64_t input_reader::total_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& f : files_) sum += f.size;
  return sum;
}

bool input_reader::has_inode_of(int fd) const {
  struct stat theirs {};
  struct stat ours {};
  if (::fstat(fd, &theirs) != 0) return false;
  return std::any_of(fds_.begin(), fds_.end(), [&](int own) {
    return ::fstat(own, &ours) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
  });
}

void input_reader::resume_after(const shard_descriptor& last) {
  file_ = last.file.value();
  offset_ = last.offset + last.length;
  line_ = last.next_line;
  next_shard_ = last.id.value() + 1;
}

result<std::size_t> input_reader::fill(std::uint64_t offset, std::size_t want, std::string& into) {
  const std::size_t had = into.size();
  into.resize(had + want);
  std::size_t got = 0;
  while (got < want) {
    const auto n =
        ::pread(fds_[file_], into.data() + had + got, want - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unreadable(files_[file_].name);
    if (n == 0)
      return failure{failure_kind::usage, "input " + files_[file_].name +
                                              " became shorter while it was read; restore it and "
                                              "repeat the command"};
    got += static_cast<std::size_t>(n);
  }
  return got;
}

result<std::optional<shard_data>> input_reader::read_next() {
  for (;;) {
    if (file_ >= files_.size()) return std::optional<shard_data>{};
    if (offset_ >= files_[file_].size) {
      ++file_;
      offset_ = 0;
      line_ = 1;
      continue;
    }
    if (offset_ == 0 && files_[file_].size >= 3) {
      std::string mark;
      if (auto r = fill(0, 3, mark); !r) return r.error();
      if (mark == "\xEF\xBB\xBF") offset_ = 3;
      if (offset_ >= files_[file_].size) continue;
    }
    auto shard = cut(offset_);
    if (!shard) return shard.error();
    offset_ += shard->where.length;
    line_ = shard->where.next_line;
    if (shard->where.count == 0) continue;
    if (next_shard_ >= shard_count_max - 1)
      return failure{failure_kind::usage,
                     "the input has more than 8,388,606 shards; split it into "
                     "several jobs"};
    shard->where.id = shard_id(next_shard_++);
    return std::optional<shard_data>(*std::move(shard));
  }
}

result<shard_data> input_reader::cut(std::uint64_t offset) {
  const auto left = files_[file_].size - offset;
  std::string bytes;
  const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left, shard_bytes_max));
  bytes.reserve(want + read_padding);
  if (auto r = fill(offset, want, bytes); !r) return r.error();
  std::size_t end = bytes.size();
  if (want < left) {
    const auto feed = bytes.rfind('\n');
    if (feed == std::string::npos) return long_line(offset, std::move(bytes));
    end = feed + 1;
  }
  const auto lines = split_lines(std::string_view(bytes).substr(0, end), line_);
  if (lines.size() > shard_prompts_max) end = lines[shard_prompts_max].offset;
  // A line that is too long stands alone.
  for (std::size_t i = 0; i < lines.size() && lines[i].offset < end; ++i)
    if (lines[i].length > line_bytes_max_) {
      if (i == 0) return long_line(offset, std::move(bytes));
      end = lines[i].offset;
      break;
    }
  shard_data shard;
  shard.where = {.id = {},
                 .file = file_id(file_),
                 .offset = offset,
                 .length = end,
                 .first_line = line_,
                 .next_line = line_,
                 .count = 0,
                 .crc = 0};
  for (const auto& l : lines)
    if (l.offset < end) ++shard.where.count;
  bytes.resize(end);
  shard.where.crc = crc_of(bytes);
  shard.where.next_line += static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
  finish(shard, std::move(bytes), end);
  return shard;
}

void input_reader::finish(shard_data& shard, std::string bytes, std::size_t size) const {
  bytes.resize(size);
  bytes.append(read_padding, '\0');
  shard.bytes = std::move(bytes);
  shard.size = size;
}

result<std::uint64_t> input_reader::find_line_end(std::uint64_t from, std::uint32_t& crc) {
  std::string piece;
  for (std::uint64_t at = from; at < files_[file_].size;) {
    piece.clear();
    const auto want =
        static_cast<std::size_t>(std::min<std::uint64_t>(files_[file_].size - at, 1u << 20));
    if (auto r = fill(at, want, piece); !r) return r.error();
    const auto feed = piece.find('\n');
    const auto used = feed == std::string::npos ? piece.size() : feed + 1;
    crc = crc_of(std::string_view(piece).substr(0, used), crc);
    at += used;
    if (feed != std::string::npos) return at;
  }
  return files_[file_].size;
}

result<shard_data> input_reader::long_line(std::uint64_t offset, std::string bytes) {
  const auto left = files_[file_].size - offset;
  auto feed = bytes.find('\n');
  while (feed == std::string::npos && bytes.size() < left && bytes.size() <= line_bytes_max_ + 2) {
    const auto from = bytes.size();
    const auto more =
        static_cast<std::size_t>(std::min<std::uint64_t>(left - from, shard_bytes_max));
    if (auto r = fill(offset + from, more, bytes); !r) return r.error();
    feed = bytes.find('\n', from);
  }
  shard_data shard;
  shard.where = {.id = {},
                 .file = file_id(file_),
                 .offset = offset,
                 .length = 0,
                 .first_line = line_,
                 .next_line = line_ + 1,
                 .count = 1,
                 .crc = 0};
  std::size_t end = feed == std::string::npos ? bytes.size() : feed + 1;
  std::size_t text = feed == std::string::npos ? end : feed;
  if (text > 0 && bytes[text - 1] == '\r') --text;
  shard.oversized = text > line_bytes_max_;
  shard.where.crc = crc_of(std::string_view(bytes).substr(0, end));
  shard.where.length = end;
  if (feed == std::string::npos && bytes.size() < left) {
    auto stop = find_line_end(offset + bytes.size(), shard.where.crc);
    if (!stop) return stop.error();
    shard.where.length = *stop - offset;
  }
  if (!shard.oversized && split_lines(std::string_view(bytes).substr(0, end), line_).empty())
    shard.where.count = 0;
  finish(shard, std::move(bytes), shard.oversized ? std::min<std::size_t>(end, 256) : end);
  return shard;
}

result<shard_data> input_reader::read(const shard_descriptor& where) {
  const auto kept = file_;
  file_ = where.file.value();
  shard_data shard;
  shard.where = where;
  std::string bytes;
  std::uint32_t crc = 0;
  const auto bytes_max = std::max<std::uint64_t>(shard_bytes_max, line_bytes_max_ + 2);
  const auto first = static_cast<std::size_t>(std::min<std::uint64_t>(where.length, bytes_max));
  bytes.reserve(first + read_padding);
  auto filled = fill(where.offset, first, bytes);
  if (filled) crc = crc_of(bytes);
  result<std::uint64_t> end = where.offset + first;
  if (filled && first < where.length) {
    shard.oversized = true;
    end = find_line_end(where.offset + first, crc);
  }
  file_ = kept;
  if (!filled) return filled.error();
  if (!end) return end.error();
  if (*end != where.offset + where.length || crc != where.crc)
    return failure{failure_kind::storage, "input " + files_[where.file.value()].name +
                                              " changed since it was read (near "
                                              "line " +
                                              std::to_string(where.first_line) +
                                              "); restore the original file and "
                                              "repeat the command"};
  finish(shard, std::move(bytes), shard.oversized ? 256 : first);
  return shard;
}

}  // namespace spillway
