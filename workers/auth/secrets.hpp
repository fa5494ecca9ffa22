// Secrets by reference: where they are read, and what of them may be told (the reference).
#pragma once

#include "schemas/auth_config.hpp"
#include "workers/auth/credential.hpp"

namespace spillway {

/// env:NAME or file:PATH.
[[nodiscard]] std::string describe(const secret_ref&);

/// A secret that can be read again: a file's may change, a variable's is read once.
class secret {
 public:
  enum class form { header_value, document };  ///< a document may have many lines

  /// Fails when it is missing, empty, or holds what its form can't.
  [[nodiscard]] static result<secret> make(secret_ref, const auth_world&,
                                           form = form::header_value);
  /// As it is now. The stamp of a file that was read is added to `files`.
  [[nodiscard]] result<std::string> read(std::vector<file_stamp>& files) const;
  [[nodiscard]] const secret_ref& ref() const { return ref_; }
  [[nodiscard]] bool may_change() const { return ref_.from == secret_ref::source::file; }

 private:
  secret(secret_ref ref, form f) : ref_(std::move(ref)), form_(f) {}
  secret_ref ref_;
  form form_;
  std::string value_;  // of a variable
};

/// The whole of a file of at most `bytes_max`; a failure says why it can't be read.
[[nodiscard]] result<std::string> read_small_file(const std::string& path, std::size_t bytes_max);

/// Whether a header line can carry it: printable ASCII without spaces around it.
[[nodiscard]] bool fits_header(std::string_view value);

}  // namespace spillway
