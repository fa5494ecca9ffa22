#include "orchestrator/cli/probe_http.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <mutex>

namespace spillway {

namespace {

constexpr std::size_t answer_bytes_max = 16u << 20;
constexpr std::size_t header_lines_max = 200;

struct easy_closer {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct list_closer {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using header_list = std::unique_ptr<curl_slist, list_closer>;

std::size_t on_body(char* data, std::size_t one, std::size_t size, void* to) {
  auto& body = static_cast<probe_answer*>(to)->response.body;
  if (body.size() + size * one > answer_bytes_max) return 0;
  body.append(data, size * one);
  return size * one;
}

std::size_t on_header(char* data, std::size_t one, std::size_t size, void* to) {
  auto& headers = static_cast<probe_answer*>(to)->response.headers;
  std::string_view line(data, size * one);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  const auto colon = line.find(':');
  if (colon == line.npos || headers.size() >= header_lines_max) return size * one;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : static_cast<char>(c);
  });
  auto value = line.substr(colon + 1);
  while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
  headers.emplace_back(std::move(name), std::string(value));
  return size * one;
}

header_list header_lines(std::string_view block) {
  header_list list;
  const auto append = [&](const std::string& line) {
    if (auto* longer = curl_slist_append(list.get(), line.c_str())) {
      (void)list.release();
      list.reset(longer);
    }
  };
  while (!block.empty()) {
    const auto end = block.find("\r\n");
    append(std::string(block.substr(0, end)));
    block = end == block.npos ? std::string_view() : block.substr(end + 2);
  }
  append("Expect:");  // no waiting for a go-ahead
  return list;
}

probe_fault fault_of(CURLcode code) {
  switch (code) {
    case CURLE_OK: return probe_fault::none;
    case CURLE_COULDNT_RESOLVE_HOST: return probe_fault::name;
    case CURLE_COULDNT_CONNECT: return probe_fault::connect;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER: return probe_fault::tls;
    case CURLE_OPERATION_TIMEDOUT: return probe_fault::timed_out;
    default: return probe_fault::other;
  }
}

}  // namespace

probe_answer probe(const probe_request& request) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  probe_answer answer;
  const std::unique_ptr<CURL, easy_closer> curl(curl_easy_init());
  if (!curl) {
    answer.fault = probe_fault::other;
    answer.detail = "libcurl can't start";
    return answer;
  }
  auto* c = curl.get();
  const auto headers = header_lines(request.headers);
  char text[CURL_ERROR_SIZE] = "";
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(request.timeout).count();
  curl_easy_setopt(c, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);  // signed as it stands
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_NOPROXY, "*");  // a run's calls use none
  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(ms));
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, text);
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(c, CURLOPT_HEADERDATA, &answer);
  if (!request.ca_file.empty()) {
    curl_easy_setopt(c, CURLOPT_CAINFO, request.ca_file.c_str());
    curl_easy_setopt(c, CURLOPT_CAPATH, nullptr);
  }
  if (request.post) {
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, request.body.data());
  }
  const auto began = std::chrono::steady_clock::now();
  const auto code = curl_easy_perform(c);
  answer.took = std::chrono::steady_clock::now() - began;
  answer.fault = fault_of(code);
  if (code != CURLE_OK) {
    answer.detail = *text != 0 ? text : curl_easy_strerror(code);
    return answer;
  }
  long status = 0;
  curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
  answer.response.status = static_cast<int>(status);
  return answer;
}

}  // namespace spillway
