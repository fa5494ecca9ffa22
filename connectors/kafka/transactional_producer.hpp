// One incarnation of a transactional producer. Inside connectors/kafka only.
#pragma once

#include "connectors/kafka/delivery_book.hpp"
#include "connectors/kafka/link.hpp"
#include "connectors/kafka/settings.hpp"
#include "schemas/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace spillway::kafka {

class client;

struct producer_fault {
  link_fault fault = link_fault::ambiguous;
  failure why;
};

/// Used by one thread; `wake` comes from others. After a fault nothing but the destructor is left:
/// there is no abort, the broker settles the transaction when the id is opened again.
class transactional_producer {
 public:
  enum class step { done, pending, failed };

  /// `wake` is called when `poll` has something to do.
  [[nodiscard]] static result<std::unique_ptr<transactional_producer>> make(
      const kafka_settings&, const std::string& transactional_id, std::size_t record_bytes_max,
      std::function<void()> wake);
  ~transactional_producer();

  /// Fences the predecessor. `pending`: call again to go on.
  [[nodiscard]] step open(std::chrono::milliseconds slice);
  /// Begins a transaction when none is open.
  [[nodiscard]] step send(std::uint64_t ticket, std::vector<delivery_book::addressed>);
  /// Serves delivery reports; complete tickets are added to `stored`.
  [[nodiscard]] step poll(std::vector<delivered_ticket>& stored);
  /// `pending`: call again. Without an open transaction there is nothing to do. Reports that come
  /// meanwhile are given by the next `poll`.
  [[nodiscard]] step commit(std::chrono::milliseconds slice);

  [[nodiscard]] std::size_t open_messages() const { return book_.open(); }
  [[nodiscard]] std::size_t open_bytes() const { return book_.open_bytes(); }
  /// Set once a call has failed.
  [[nodiscard]] const std::optional<producer_fault>& fault() const { return fault_; }

 private:
  transactional_producer(std::size_t record_bytes_max, std::function<void()> wake);
  step failed(int code, const std::string& reason, const std::string& topic_full_name = {});

  std::size_t record_bytes_max_;
  std::function<void()> wake_;
  delivery_book book_{unique_set_prefix()};
  std::vector<delivered_ticket> stored_;
  std::optional<producer_fault> fault_;
  bool in_transaction_ = false;
  std::unique_ptr<client> kafka_;  // before the book goes: it points into it
};

}  // namespace spillway::kafka
