#include "orchestrator/runtime/time_source.hpp"
#include "workers/auth/world.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t answer_bytes_max = 256u << 10;
constexpr duration connect_timeout_max = 5s;
constexpr int poll_ms_max = 1000;

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using easy_handle = std::unique_ptr<CURL, freed_by<curl_easy_cleanup>>;
using multi_handle = std::unique_ptr<CURLM, freed_by<curl_multi_cleanup>>;
using header_list = std::unique_ptr<curl_slist, freed_by<curl_slist_free_all>>;

long milliseconds(duration d) {
  return static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(d).count());
}

std::size_t keep(char* data, std::size_t size, std::size_t n, void* into) {
  auto& body = *static_cast<std::string*>(into);
  if (body.size() + size * n > answer_bytes_max) return 0;  // ends the call
  body.append(data, size * n);
  return size * n;
}

header_list lines_of(std::string_view headers) {
  curl_slist* list = nullptr;
  while (!headers.empty()) {
    const auto end = std::min(headers.find("\r\n"), headers.size());
    list = curl_slist_append(list, std::string(headers.substr(0, end)).c_str());
    headers.remove_prefix(std::min(end + 2, headers.size()));
  }
  list = curl_slist_append(list, "Expect:");  // no waiting for 100 Continue
  return header_list(list);
}

/// Scheme and host: what of a URL may be told, for its query may be anything.
std::string place_of(const std::string& url) {
  const auto scheme = url.find("://");
  const auto from = scheme == std::string::npos ? 0 : scheme + 3;
  return url.substr(0, url.find_first_of("/?#", from));
}

void set_options(CURL* easy, const token_request& request, const header_list& headers,
                 std::string& body) {
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &keep);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // Besides the system's folder of certificates, which stays as it is.
  if (!request.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, request.ca_file.c_str());
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");  // as the transport: none
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a stop does not wait for a name server
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(request.timeout));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   milliseconds(std::min(request.timeout, connect_timeout_max)));
}

class system_world_type final : public auth_world {
 public:
  system_world_type() { curl_global_init(CURL_GLOBAL_DEFAULT); }

  [[nodiscard]] time_point now() const override { return time_.now(); }
  [[nodiscard]] time_point wall() const override { return std::chrono::system_clock::now(); }

  [[nodiscard]] std::optional<std::string> environment(const std::string& name) const override {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  }

  [[nodiscard]] result<token_response> fetch(const token_request& request,
                                             const std::stop_token& stop) override {
    const auto failed = [&](std::string_view what) {
      return failure{failure_kind::stopped, place_of(request.url) + ": " + std::string(what)};
    };
    const easy_handle easy(curl_easy_init());
    const multi_handle multi(curl_multi_init());
    if (!easy || !multi) return failed("no HTTP client could be made");
    const auto headers = lines_of(request.headers);
    token_response answer;
    set_options(easy.get(), request, headers, answer.body);
    curl_multi_add_handle(multi.get(), easy.get());
    std::optional<CURLcode> outcome;
    {
      const std::stop_callback wake(stop, [&multi] { curl_multi_wakeup(multi.get()); });
      outcome = perform(multi.get(), stop);
    }
    curl_multi_remove_handle(multi.get(), easy.get());
    if (!outcome) return failed("stopped");
    if (*outcome == CURLE_WRITE_ERROR) return failed("the answer is too large for a credential");
    if (*outcome != CURLE_OK) return failed(curl_easy_strerror(*outcome));
    long status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    answer.status = static_cast<int>(status);
    return answer;
  }

 private:
  /// How the only call of `multi` ended; nothing when it was stopped.
  static std::optional<CURLcode> perform(CURLM* multi, const std::stop_token& stop) {
    for (int running = 1; running > 0;) {
      if (stop.stop_requested()) return std::nullopt;
      if (curl_multi_perform(multi, &running) != CURLM_OK) return CURLE_FAILED_INIT;
      if (running > 0 && curl_multi_poll(multi, nullptr, 0, poll_ms_max, nullptr) != CURLM_OK)
        return CURLE_FAILED_INIT;
    }
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi, &left);
    return message != nullptr ? message->data.result : CURLE_FAILED_INIT;
  }

  system_time time_;
};

}  // namespace

auth_world& system_world() {
  static system_world_type world;
  return world;
}

}  // namespace spillway
