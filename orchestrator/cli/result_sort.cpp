// Rows in the order of the input, sorted in runs on disk that are merged at the end.
#include "connectors/rows.hpp"
#include "orchestrator/cli/result_files.hpp"

#include <algorithm>
#include <queue>
#include <tuple>

namespace spillway {

namespace {

constexpr std::size_t runs_max = 512;

/// What rows are ordered by. Of one prompt the highest generation comes first, and counts.
struct sort_key {
  std::uint32_t rank = 0;  ///< of the input file
  std::uint32_t name_bytes = 0;
  std::uint64_t line = 0;
  std::int64_t offset = 0;
  std::uint32_t partition = 0, index = 0, generation = 0;
  std::uint32_t kind_and_form = 0;  ///< bit 0: an error row; bit 1: of a line record
  std::uint64_t row_bytes = 0;

  [[nodiscard]] bool is_error() const { return (kind_and_form & 1) != 0; }
  [[nodiscard]] bool same_prompt(const sort_key& o) const {
    return offset == o.offset && partition == o.partition && index == o.index &&
           (kind_and_form & 2) == (o.kind_and_form & 2);
  }
};

struct sorted_row {
  sort_key key;
  std::string name;  ///< of an input file that the manifest does not name
  std::string row;

  [[nodiscard]] bool operator<(const sorted_row& o) const {
    const auto place = [](const sorted_row& r) {
      return std::tuple(r.key.line, r.key.partition, r.key.offset, r.key.index);
    };
    if (key.rank != o.key.rank) return key.rank < o.key.rank;
    if (name != o.name) return name < o.name;
    if (place(*this) != place(o)) return place(*this) < place(o);
    return key.generation > o.key.generation;
  }
};

result<void> write(spool_file& file, const sorted_row& row) {
  if (auto ok = file.write({reinterpret_cast<const char*>(&row.key), sizeof row.key}); !ok)
    return ok;
  if (auto ok = file.write(row.name); !ok) return ok;
  return file.write(row.row);
}

result<bool> read(spool_file& file, sorted_row& row) {
  const auto more = file.read(&row.key, sizeof row.key);
  if (!more || !*more) return more;
  row.name.resize(row.key.name_bytes);
  row.row.resize(row.key.row_bytes);
  if (auto ok = file.read(row.name.data(), row.name.size()); !ok) return ok;
  return file.read(row.row.data(), row.row.size());
}

/// Takes the smallest of the heads of all runs, again and again.
class run_merge {
 public:
  explicit run_merge(std::vector<spool_file>& runs) : runs_(runs), heads_(runs.size()) {}

  result<void> begin() {
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      if (auto ok = runs_[i].rewind(); !ok) return ok;
      if (auto ok = advance(i); !ok) return ok;
    }
    return {};
  }
  [[nodiscard]] bool empty() const { return order_.empty(); }
  /// The next row; the one before is gone.
  result<sorted_row> take() {
    const auto run = order_.top();
    order_.pop();
    sorted_row out = std::move(heads_[run]);
    if (auto ok = advance(run); !ok) return ok.error();
    return out;
  }

 private:
  result<void> advance(std::size_t run) {
    const auto more = read(runs_[run], heads_[run]);
    if (!more) return more.error();
    if (*more) order_.push(run);
    return {};
  }

  struct later {
    const std::vector<sorted_row>& heads;
    bool operator()(std::size_t a, std::size_t b) const { return heads[b] < heads[a]; }
  };
  std::vector<spool_file>& runs_;
  std::vector<sorted_row> heads_;
  std::priority_queue<std::size_t, std::vector<std::size_t>, later> order_{later{heads_}};
};

class sorted_row_files final : public row_sink {
 public:
  sorted_row_files(spool_file output, spool_file errors, std::string folder,
                   std::vector<std::string> files, std::size_t run_bytes)
      : output_(std::move(output)),
        errors_(std::move(errors)),
        folder_(std::move(folder)),
        files_(std::move(files)),
        run_bytes_(run_bytes) {}

  result<void> add(fetched_row in) override {
    sorted_row out;
    const auto unknown_rank = static_cast<std::uint32_t>(files_.size());
    out.key.rank = unknown_rank + 1;
    if (auto summary = read_row(in.row)) {
      const auto at = std::find(files_.begin(), files_.end(), summary->file);
      out.key.rank = static_cast<std::uint32_t>(at - files_.begin());
      if (at == files_.end()) out.name = std::move(summary->file);
      out.key.line = summary->line;
    }
    out.key.name_bytes = static_cast<std::uint32_t>(out.name.size());
    out.key.partition = in.partition;
    out.key.offset = in.where.offset;
    out.key.index = in.where.index;
    out.key.generation = in.where.generation;
    out.key.kind_and_form =
        (in.kind == row_kind::answered ? 0u : 1u) | (in.where.line_record ? 2u : 0u);
    out.key.row_bytes = in.row.size();
    out.row = std::move(in.row);
    held_bytes_ += sizeof out + out.row.size() + out.name.size();
    held_.push_back(std::move(out));
    return held_bytes_ < run_bytes_ ? result<void>{} : spill();
  }

  result<void> flush() override { return {}; }

  result<row_counts> finish() override {
    if (auto ok = spill(); !ok) return ok.error();
    row_counts counts;
    run_merge merge(runs_);
    if (auto ok = merge.begin(); !ok) return ok.error();
    std::optional<sort_key> last;
    while (!merge.empty()) {
      const auto row = merge.take();
      if (!row) return row.error();
      if (last && last->same_prompt(row->key)) continue;
      last = row->key;
      ++(row->key.is_error() ? counts.errors : counts.answered);
      if (auto ok = (row->key.is_error() ? errors_ : output_).write(row->row); !ok)
        return ok.error();
    }
    if (auto ok = output_.flush(); !ok) return ok.error();
    if (auto ok = errors_.flush(); !ok) return ok.error();
    return counts;
  }

 private:
  result<void> spill() {
    if (held_.empty()) return {};
    std::sort(held_.begin(), held_.end());
    if (runs_.size() >= runs_max)
      if (auto ok = merge_runs(); !ok) return ok;
    auto run = spool_file::nameless(folder_);
    if (!run) return run.error();
    for (const auto& row : held_)
      if (auto ok = write(*run, row); !ok) return ok;
    if (auto ok = run->flush(); !ok) return ok;
    runs_.push_back(*std::move(run));
    held_.clear();
    held_bytes_ = 0;
    return {};
  }

  /// All runs become one, so that their number and their buffers stay bounded.
  result<void> merge_runs() {
    auto whole = spool_file::nameless(folder_);
    if (!whole) return whole.error();
    run_merge merge(runs_);
    if (auto ok = merge.begin(); !ok) return ok;
    while (!merge.empty()) {
      const auto row = merge.take();
      if (!row) return row.error();
      if (auto ok = write(*whole, *row); !ok) return ok;
    }
    runs_.clear();
    runs_.push_back(*std::move(whole));
    return {};
  }

  spool_file output_, errors_;
  std::string folder_;
  std::vector<std::string> files_;
  std::size_t run_bytes_;
  std::vector<sorted_row> held_;
  std::size_t held_bytes_ = 0;
  std::vector<spool_file> runs_;
};

}  // namespace

result<std::unique_ptr<row_sink>> make_sorted_row_files(const std::string& output,
                                                        const std::string& errors,
                                                        const std::string& folder,
                                                        std::vector<std::string> files,
                                                        std::size_t run_bytes) {
  auto answers = spool_file::create(output);
  if (!answers) return answers.error();
  auto rows = spool_file::create(errors);
  if (!rows) return rows.error();
  return std::unique_ptr<row_sink>(std::make_unique<sorted_row_files>(
      *std::move(answers), *std::move(rows), folder, std::move(files), run_bytes));
}

}  // namespace spillway
