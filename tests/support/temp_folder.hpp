// A folder of its own for one test, and files in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace spillway {

class temp_folder {
 public:
  temp_folder() {
    path_ = (std::filesystem::temp_directory_path() / "spillway-unit-XXXXXX").string();
    if (!::mkdtemp(path_.data())) std::abort();
  }
  ~temp_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temp_folder(const temp_folder&) = delete;
  temp_folder& operator=(const temp_folder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }
  std::string write(std::string_view name, std::string_view text) const {
    const auto path = *this / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  [[nodiscard]] std::string read(std::string_view name) const {
    std::ifstream in(*this / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void append(std::string_view name, std::string_view text) const {
    std::ofstream(*this / name, std::ios::binary | std::ios::app) << text;
  }

 private:
  std::string path_;
};

}  // namespace spillway
