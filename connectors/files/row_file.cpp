#include "connectors/files/row_file.hpp"

#include "connectors/files/checksum.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace spillway {
namespace {

result<std::string> read_range(int fd, std::uint64_t from, std::uint64_t size,
                               const failure& fault) {
  std::string bytes(size, '\0');
  for (std::size_t got = 0; got < bytes.size();) {
    const auto n =
        ::pread(fd, bytes.data() + got, bytes.size() - got, static_cast<off_t>(from + got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fault;
    got += static_cast<std::size_t>(n);
  }
  return bytes;
}

}  // namespace

row_file::~row_file() {
  if (fd_ >= 0) ::close(fd_);
}
row_file::row_file(row_file&& other) noexcept { *this = std::move(other); }
row_file& row_file::operator=(row_file&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(mark_, other.mark_);
  return *this;
}

failure row_file::fault(const char* doing) const {
  const int code = errno;
  std::string message = "can't " + std::string(doing) + " " + path_ + ": " + std::strerror(code);
  if (code == ENOSPC || code == EDQUOT) message += "; free some space and repeat the command";
  if (code == EROFS || code == EACCES || code == EPERM)
    message += "; make it writable or choose another output";
  return {failure_kind::storage, message};
}

result<row_file> row_file::open(const std::string& path, bool create) {
  row_file file;
  file.path_ = path;
  file.fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0644);
  if (file.fd_ < 0) return file.fault("open");
  struct stat info {};
  if (::fstat(file.fd_, &info) != 0) return file.fault("open");
  if (!S_ISREG(info.st_mode))
    return failure{failure_kind::usage, path + " is not a regular file; results need one"};
  if (::flock(file.fd_, LOCK_EX | LOCK_NB) != 0)
    return failure{failure_kind::usage, path +
                                            " is in use by another process; wait for it to end, "
                                            "or choose another output"};
  if (create) {
    if (auto r = sync_folder_of(path); !r) return r.error();
  }
  return file;
}

result<std::string> row_file::check(const row_file_mark& mark) {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) return fault("read");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  const std::string restore =
      "; restore the file as the last run left it, or start anew with "
      "--overwrite";
  if (size < mark.length)
    return failure{failure_kind::storage, path_ + " is shorter than the state says (" +
                                              std::to_string(size) + " bytes instead of " +
                                              std::to_string(mark.length) + ")" + restore};
  auto last = read_range(fd_, mark.length - mark.last_length, mark.last_length, fault("read"));
  if (!last) return last.error();
  if (crc_of(*last) != mark.last_crc)
    return failure{failure_kind::storage,
                   path_ + " is not the file the state belongs to: its last row differs" + restore};
  mark_ = mark;
  return read_range(fd_, mark.length, size - mark.length, fault("read"));
}

result<void> row_file::append(std::string_view rows, std::size_t region) {
  std::string padded;
  std::string_view all = rows;
  if (region > rows.size()) {
    padded.assign(rows);
    padded.resize(region, '\n');
    all = padded;
  }
  for (std::size_t done = 0; done < all.size();) {
    const auto n = ::pwrite(fd_, all.data() + done, all.size() - done,
                            static_cast<off_t>(mark_.length + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fault("write");
    done += static_cast<std::size_t>(n);
  }
  if (rows.empty()) return {};
  const auto before = rows.substr(0, rows.size() - 1).rfind('\n');
  const auto last = before == std::string_view::npos ? rows : rows.substr(before + 1);
  mark_ = {mark_.length + rows.size(), static_cast<std::uint32_t>(last.size()), crc_of(last)};
  return {};
}

result<void> row_file::cut() {
  if (::ftruncate(fd_, static_cast<off_t>(mark_.length)) != 0) return fault("truncate");
  return {};
}

result<void> row_file::sync() {
  if (::fdatasync(fd_) != 0) return fault("sync");
  return {};
}

result<void> sync_folder_of(const std::string& path) {
  auto folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool good = fd >= 0 && ::fsync(fd) == 0;
  const int code = errno;
  if (fd >= 0) ::close(fd);
  if (good) return {};
  return failure{failure_kind::storage, "can't sync folder " + folder + ": " + std::strerror(code)};
}

}  // namespace spillway
