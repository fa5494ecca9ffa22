#include "orchestrator/cli/result_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace spillway {

namespace {

constexpr std::size_t buffer_bytes = 256u << 10;

failure unusable(const std::string& path, const char* doing) {
  return {failure_kind::storage, path + ": cannot be " + doing + " (" + std::strerror(errno) + ")"};
}

}  // namespace

result<spool_file> spool_file::create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "w+e");
  if (!file) return unusable(path, "created");
  std::setvbuf(file, nullptr, _IOFBF, buffer_bytes);
  return spool_file(file, path);
}

result<spool_file> spool_file::nameless(const std::string& folder) {
  std::string name = folder + "/.spillway-XXXXXX";
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return unusable(folder, "written to");
  ::unlink(name.c_str());
  std::FILE* file = ::fdopen(fd, "w+");
  if (!file) return unusable(folder, "written to");
  std::setvbuf(file, nullptr, _IOFBF, buffer_bytes);
  return spool_file(file, folder + " (temporary file)");
}

failure spool_file::broken(const char* doing) const { return unusable(name_, doing); }

result<void> spool_file::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size())
    return broken("written");
  return {};
}

result<void> spool_file::flush() {
  if (std::fflush(file_.get()) != 0) return broken("written");
  return {};
}

result<void> spool_file::rewind() {
  if (std::fflush(file_.get()) != 0 || std::fseek(file_.get(), 0, SEEK_SET) != 0)
    return broken("read");
  return {};
}

result<std::string> spool_file::read_line() {
  char* line = nullptr;
  std::size_t size = 0;
  const auto n = ::getline(&line, &size, file_.get());
  std::string out(n > 0 ? line : "", n > 0 ? static_cast<std::size_t>(n) : 0);
  std::free(line);
  if (n < 0 && std::ferror(file_.get()) != 0) return broken("read");
  return out;
}

result<bool> spool_file::read(void* into, std::size_t size) {
  if (std::fread(into, 1, size, file_.get()) == size) return true;
  if (std::ferror(file_.get()) != 0) return broken("read");
  return false;
}

namespace {

/// Answers are final and go straight to their file. An error row may be replaced by a retry: its
/// place is kept beside it, and the file is written anew at the end if one was.
class row_files final : public row_sink {
 public:
  row_files(std::optional<spool_file> output, spool_file errors, spool_file places,
            std::string errors_path)
      : output_(std::move(output)),
        errors_(std::move(errors)),
        places_(std::move(places)),
        errors_path_(std::move(errors_path)) {}

  result<void> add(fetched_row row) override {
    const auto verdict = tracker_.note(row.partition, row.where);
    if (verdict == kafka::row_tracker::verdict::stale) return {};
    if (verdict == kafka::row_tracker::verdict::supersedes) ++replaced_;
    if (row.kind == row_kind::answered) {
      ++counts_.answered;
      return output_ ? output_->write(row.row) : result<void>{};
    }
    ++written_errors_;
    const error_place place{row.partition, row.where};
    if (auto ok = places_.write({reinterpret_cast<const char*>(&place), sizeof place}); !ok)
      return ok;
    return errors_.write(row.row);
  }

  result<void> flush() override {
    if (output_)
      if (auto ok = output_->flush(); !ok) return ok;
    return errors_.flush();
  }

  result<row_counts> finish() override {
    counts_.errors = written_errors_ - replaced_;
    if (replaced_ > 0)
      if (auto ok = drop_replaced(); !ok) return ok.error();
    if (auto ok = flush(); !ok) return ok.error();
    return counts_;
  }

 private:
  struct error_place {
    std::uint32_t partition = 0;
    kafka::place where;
  };

  result<void> drop_replaced() {
    const auto fresh_path = errors_path_ + ".tmp";
    auto fresh = spool_file::create(fresh_path);
    if (!fresh) return fresh.error();
    if (auto ok = errors_.rewind(); !ok) return ok;
    if (auto ok = places_.rewind(); !ok) return ok;
    error_place place;
    for (;;) {
      const auto more = places_.read(&place, sizeof place);
      if (!more) return more.error();
      if (!*more) break;
      auto line = errors_.read_line();
      if (!line) return line.error();
      if (!tracker_.is_current(place.partition, place.where)) continue;
      if (auto ok = fresh->write(*line); !ok) return ok;
    }
    if (auto ok = fresh->flush(); !ok) return ok;
    if (std::rename(fresh_path.c_str(), errors_path_.c_str()) != 0)
      return unusable(errors_path_, "replaced");
    errors_ = *std::move(fresh);
    return {};
  }

  std::optional<spool_file> output_;
  spool_file errors_, places_;
  std::string errors_path_;
  kafka::row_tracker tracker_;
  row_counts counts_;
  std::uint64_t written_errors_ = 0, replaced_ = 0;
};

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

}  // namespace

result<std::unique_ptr<row_sink>> make_row_files(const std::string& output,
                                                 const std::string& errors) {
  std::optional<spool_file> answers;
  if (!output.empty()) {
    auto created = spool_file::create(output);
    if (!created) return created.error();
    answers = *std::move(created);
  }
  auto rows = spool_file::create(errors);
  if (!rows) return rows.error();
  auto places = spool_file::nameless(folder_of(errors));
  if (!places) return places.error();
  return std::unique_ptr<row_sink>(std::make_unique<row_files>(std::move(answers), *std::move(rows),
                                                               *std::move(places), errors));
}

}  // namespace spillway
