// Answers of other wire forms on their way to the OpenAI form.
#pragma once

#include "workers/providers/adapter.hpp"
#include "workers/providers/chat_answer.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace spillway {

/// A read answer, or the failure it is inside a status of 200. Usage may be known in both cases.
struct foreign_answer {
  chat_answer answer;  ///< `id` is the provider's own, `model` what it says; both may be empty
  std::optional<error_report> error;
};

struct foreign_embeddings {
  embedding_answer answer;  ///< `model` is what the provider says; may be empty
  std::optional<error_report> error;
};

/// The value, or an empty one: what can't be read is unmappable and goes to no lane, so that the
/// empty request only stands for "refused".
template <class Request>
[[nodiscard]] Request value_or_empty(result<Request> read) {
  return read ? std::move(*read) : Request{};
}

/// The prompt as data, limited as the lane says where it does not say itself.
[[nodiscard]] chat_request chat_of(const prompt_view&, const lane_config&);

/// A failure inside an answer.
[[nodiscard]] error_report failure_inside(std::string_view code, std::string_view message);

/// What an answer that is none says: the error in it, else `malformed_response`.
[[nodiscard]] error_report no_answer(std::string_view body, std::string_view missing);

/// A count that was read, or none.
[[nodiscard]] tokens count_of(std::optional<std::int64_t>);

/// An adapter of which some lanes speak another form.
class translating_adapter : public adapter {
 public:
  using adapter::adapter;

 protected:
  /// Fills what the answer left open, and writes it in the OpenAI form.
  void take_foreign(foreign_answer, const call_result&, const lane_config&, outcome&) const;
  void take_embeddings(foreign_embeddings, const call_result&, const lane_config&,
                       prompt_features asked, outcome&) const;
};

}  // namespace spillway
