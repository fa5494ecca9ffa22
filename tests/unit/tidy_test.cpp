// Holds the tree to its own rules, and the rules to bad samples, so that none of them sleeps.
#include "tests/unit/tidy_rules.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace spillway::tidy {
namespace {

source_tree read_tree() {
  namespace fs = std::filesystem;
  const fs::path root = SPILLWAY_SOURCE_DIR;
  source_tree tree;
  for (const char* folder : {"schemas", "orchestrator", "workers", "connectors", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const auto extension = entry.path().extension();
      if (!entry.is_regular_file() || (extension != ".hpp" && extension != ".cpp")) continue;
      std::ostringstream text;
      text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
      tree[entry.path().lexically_relative(root).generic_string()] = text.str();
    }
  }
  return tree;
}

const source_tree& tree() {
  static const source_tree read = read_tree();
  return read;
}

std::string listed(const std::vector<finding>& findings) {
  std::string out;
  for (const auto& f : findings)
    out += f.path + ":" + std::to_string(f.line) + ": " + f.what + "\n";
  return out;
}

TEST(tidy, the_tree_was_found) {
  EXPECT_GT(tree().size(), 50u);
  EXPECT_TRUE(tree().contains("schemas/units.hpp"));
  EXPECT_TRUE(tree().contains("tests/unit/tidy_test.cpp"));
}

TEST(tidy, includes_point_one_way) { EXPECT_EQ(listed(check_direction(tree())), ""); }
TEST(tidy, core_is_pure) { EXPECT_EQ(listed(check_core(tree())), ""); }
TEST(tidy, network_headers_stay_put) { EXPECT_EQ(listed(check_network_headers(tree())), ""); }
TEST(tidy, no_coroutine_traps) { EXPECT_EQ(listed(check_coroutines(tree())), ""); }
TEST(tidy, files_stay_small) { EXPECT_EQ(listed(check_sizes(tree())), ""); }
TEST(tidy, headers_are_guarded) { EXPECT_EQ(listed(check_pragma_once(tree())), ""); }

TEST(tidy, the_reader_sees_every_co_await_of_the_tree) {
  // A trap put behind any co_await of the real code must be found: the reader is nowhere blind.
  constexpr std::string_view word = "co_await ";
  std::size_t tried = 0;
  for (const auto& [path, text] : tree()) {
    if (path.starts_with("tests/unit/tidy_")) continue;
    const auto code = code_only(text);
    for (auto at = code.find(word); at != std::string::npos; at = code.find(word, at + 1)) {
      const auto trapped = text.substr(0, at) + "co_await id{1} + " + text.substr(at);
      EXPECT_EQ(check_coroutines({{path, trapped}}).size(), 1u) << path << " at byte " << at;
      ++tried;
    }
  }
  EXPECT_GT(tried, 0u);
}

// From here on: the rules themselves.

/// A small tree around one file, with a header in every folder to include.
source_tree sample(const std::string& path, std::string text) {
  source_tree out;
  for (const char* header :
       {"schemas/a.hpp", "orchestrator/core/a.hpp", "orchestrator/runtime/a.hpp",
        "orchestrator/engine/a.hpp", "orchestrator/service/a.hpp", "orchestrator/cli/a.hpp",
        "workers/a.hpp", "workers/providers/a.hpp", "workers/auth/a.hpp", "workers/simulator/a.hpp",
        "workers/transport/transport.hpp", "connectors/a.hpp", "tests/a.hpp"})
    out[header] = "#pragma once\n";
  out[path] = std::move(text);
  return out;
}

std::size_t direction(const std::string& path, const std::string& included) {
  return check_direction(sample(path, "\n#include \"" + included + "\"\n")).size();
}

TEST(tidy_direction, finds_upward_and_sideways_includes) {
  EXPECT_EQ(direction("schemas/x.hpp", "orchestrator/core/a.hpp"), 1u);
  EXPECT_EQ(direction("schemas/x.hpp", "orchestrator/runtime/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/core/x.cpp", "orchestrator/runtime/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/core/x.cpp", "workers/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/core/x.cpp", "connectors/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/runtime/x.cpp", "orchestrator/core/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/runtime/x.cpp", "workers/a.hpp"), 1u);
  EXPECT_EQ(direction("workers/x.cpp", "connectors/a.hpp"), 1u);
  EXPECT_EQ(direction("workers/x.cpp", "orchestrator/core/a.hpp"), 1u);
  EXPECT_EQ(direction("workers/providers/x.cpp", "workers/auth/a.hpp"), 1u);
  EXPECT_EQ(direction("connectors/files/x.cpp", "workers/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/engine/x.cpp", "orchestrator/cli/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/engine/x.cpp", "orchestrator/service/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/service/x.cpp", "orchestrator/cli/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/engine/x.cpp", "workers/simulator/a.hpp"), 1u);
  EXPECT_EQ(direction("orchestrator/cli/x.cpp", "tests/a.hpp"), 2u);
  EXPECT_EQ(direction("workers/x.cpp", "a.hpp"), 2u) << "neither a full path nor a known layer";
  EXPECT_EQ(direction("workers/x.cpp", "workers/gone.hpp"), 1u);
}

TEST(tidy_direction, accepts_downward_includes) {
  EXPECT_EQ(direction("orchestrator/core/x.cpp", "schemas/a.hpp"), 0u);
  EXPECT_EQ(direction("workers/providers/x.cpp", "workers/a.hpp"), 0u);
  EXPECT_EQ(direction("workers/providers/x.cpp", "workers/transport/transport.hpp"), 0u);
  EXPECT_EQ(direction("connectors/files/x.cpp", "orchestrator/runtime/a.hpp"), 0u);
  EXPECT_EQ(direction("connectors/files/x.cpp", "schemas/state.pb.h"), 0u);
  EXPECT_EQ(direction("orchestrator/engine/x.cpp", "workers/providers/a.hpp"), 0u);
  EXPECT_EQ(direction("orchestrator/service/x.cpp", "orchestrator/engine/a.hpp"), 0u);
  EXPECT_EQ(direction("orchestrator/cli/x.cpp", "orchestrator/service/a.hpp"), 0u);
  EXPECT_EQ(direction("orchestrator/cli/x.cpp", "workers/simulator/a.hpp"), 0u);
  EXPECT_EQ(direction("tests/unit/x.cpp", "tests/a.hpp"), 0u);
}

TEST(tidy_direction, reads_includes_however_they_are_spaced) {
  const auto found =
      includes_of("# include  <a/b.h> // c\n  #include \"d\"\n#include X\n//#include \"e\"\n");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "a/b.h");
  EXPECT_FALSE(found[0].quoted);
  EXPECT_EQ(found[1].name, "d");
  EXPECT_EQ(found[1].line, 2u);
}

std::size_t core(const std::string& text) {
  return check_core(sample("orchestrator/core/x.cpp", text)).size();
}

TEST(tidy_core, finds_io_threads_and_clocks) {
  for (const char* header :
       {"boost/asio/post.hpp", "rocksdb/db.h", "librdkafka/rdkafkacpp.h", "tbb/parallel_for.h",
        "oneapi/tbb.h", "fstream", "thread", "mutex", "filesystem", "condition_variable"})
    EXPECT_EQ(core("#include <" + std::string(header) + ">\n"), 1u) << header;
  EXPECT_EQ(core("auto t = std::chrono::steady_clock::now();"), 1u);
  EXPECT_EQ(core("auto t = clock::now();\nauto u = clock::now();"), 2u);
  EXPECT_EQ(core("std::random_device seed;"), 1u);
}

TEST(tidy_core, accepts_pure_code) {
  EXPECT_EQ(core("#include <chrono>\n#include <map>\n#include <span>\n"), 0u);
  EXPECT_EQ(core("// never calls clock::now()\nauto s = \"::now(\";\nf(now);"), 0u);
  EXPECT_TRUE(check_core(sample("workers/x.cpp", "#include <thread>\nclock::now();")).empty());
}

TEST(tidy_network, finds_direct_and_carried_headers) {
  const std::string beast = "#include <boost/beast/http.hpp>\n";
  EXPECT_EQ(check_network_headers(sample("workers/providers/x.cpp", beast)).size(), 1u);
  EXPECT_EQ(
      check_network_headers(sample("orchestrator/engine/x.cpp", "#include <boost/asio.hpp>\n"))
          .size(),
      1u);
  EXPECT_EQ(check_network_headers(sample("workers/transport/transport.hpp", beast)).size(), 1u);
  EXPECT_EQ(check_network_headers(sample("workers/transport/pool.cpp", beast)).size(), 0u);
  EXPECT_EQ(check_network_headers(sample("orchestrator/service/http_server.hpp", beast)).size(), 1u);
  EXPECT_EQ(check_network_headers(sample("orchestrator/service/http_server.cpp", beast)).size(), 0u);
  auto carried = sample("workers/transport/inner.hpp", beast);
  carried["workers/transport/outer.hpp"] = "#include \"workers/transport/inner.hpp\"\n";
  carried["orchestrator/engine/x.cpp"] = "\n#include \"workers/transport/outer.hpp\"\n";
  const auto found = check_network_headers(carried);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].path, "orchestrator/engine/x.cpp");
  EXPECT_EQ(found[0].line, 2u);
}

std::string coroutine(const std::string& body, const std::string& before = "") {
  const auto found = check_coroutines(
      sample("workers/x.cpp",
             before + "awaitable<void> f(int a) {\n  co_await start();\n" + body + "\n}\n"));
  return found.empty() ? "" : listed({found.front()});
}

TEST(tidy_coroutines, finds_copying_lambdas) {
  for (const char* code :
       {"co_await run([x] { return x; });", "co_await run([=](int) { return 1; });",
        "auto r = co_await run(1, [&a, b](int) mutable { return b; });",
        "co_await run([p = std::move(p)]() -> int { return *p; });", "co_await run([*this] { });",
        "if (co_await run([x] { return x; })) stop();", "co_await run([this, self] { g(self); });",
        "co_return co_await async_initiate<T, void(int)>(\n    [id](auto h) { h(id); }, t);"})
    EXPECT_NE(coroutine(code).find("captures by value"), std::string::npos) << code;
}

TEST(tidy_coroutines, finds_conditionals_and_braced_temporaries) {
  EXPECT_NE(coroutine("co_await send(ok ? \"a\" : \"b\");").find("?:"), std::string::npos);
  EXPECT_NE(coroutine("auto s = ok ? co_await a() : std::string();").find("?:"), std::string::npos);
  for (const char* code : {"co_await send(id{s});", "co_await send(1, http::request{});",
                           "co_await send({1, 2});", "co_await send(box<int>{3});",
                           "co_await sleeper{5};", "auto x = co_await g(a(), id{co_await h()});"})
    EXPECT_NE(coroutine(code).find("braced value"), std::string::npos) << code;
}

TEST(tidy_coroutines, finds_statement_expressions_and_unnamed_states) {
  EXPECT_NE(coroutine("auto v = ({ auto r = g(); r; });").find("statement"), std::string::npos);
  EXPECT_NE(coroutine("", "#define TRY(x) \\\n  ({ auto r = (x); *r; })\n").find("macro"),
            std::string::npos);
  EXPECT_NE(
      coroutine("if ((co_await asio::this_coro::cancellation_state).cancelled() != n) co_return;")
          .find("cancellation state"),
      std::string::npos);
}

TEST(tidy_coroutines, says_where) {
  EXPECT_EQ(coroutine("\n  // ?\n  co_await send(\n    id{s});").substr(0, 16), "workers/x.cpp:5:");
}

TEST(tidy_coroutines, accepts_what_is_fine) {
  for (const char* code :
       {"co_await send(id(s));", "auto l = [x] { return x; };\nco_await run(l);",
        "co_await run([this, &a] { return a; });", "co_await run([&] { return 1; });",
        "co_await run([] { return 1; });", "auto v = table[co_await index()];",
        "auto x{co_await g()};", "const id value{s};\nco_await send(value);",
        "co_spawn(ex, [x]() -> awaitable<void> { co_await g(x); }, token);",
        "auto task = [x]() -> awaitable<void> {\n  co_await g(x);\n};\nspawn(task);",
        "const auto n = ok ? 1 : 2;\nco_await send(n);",
        "for (auto& [k, v] : all) { co_await send(k); }", "auto [e, n] = co_await g();",
        "if (ok) { co_await g(); } else { id y{1}; }",
        "switch (co_await g()) { case 1: co_await h(); break; default: { co_await i(); } }",
        "try { co_await g(); } catch (const int& e) { h(e ? 1 : 2); }",
        "auto state = co_await asio::this_coro::cancellation_state;\nif (state.cancelled()) "
        "stop();",
        "co_await send(\"a ? {b}\", '{'); // id{s} ?", "co_await send(R\"x({\"?\":1})x\", 1'000);"})
    EXPECT_EQ(coroutine(code), "") << code;
}

TEST(tidy_coroutines, looks_into_lambda_bodies_and_plain_files_are_left_alone) {
  EXPECT_NE(coroutine("co_spawn(ex, [x]() -> awaitable<void> { co_await g(id{x}); }, token);"), "");
  EXPECT_TRUE(
      check_coroutines(sample("workers/x.cpp", "void f() { g(id{s}, ok ? 1 : 2); }")).empty());
}

TEST(tidy_files, finds_giants_and_unguarded_headers) {
  EXPECT_EQ(check_sizes(sample("workers/x.cpp", std::string(451, '\n'))).size(), 1u);
  EXPECT_EQ(check_sizes(sample("workers/x.cpp", std::string(450, '\n'))).size(), 0u);
  EXPECT_EQ(check_sizes(sample("tests/unit/x.cpp", std::string(601, '\n'))).size(), 1u);
  EXPECT_EQ(check_pragma_once(sample("workers/x.hpp", "int a;\n")).size(), 1u);
}

TEST(tidy_text, blanks_what_is_not_code) {
  EXPECT_EQ(code_only("a // b\nc"), "a     \nc");
  EXPECT_EQ(code_only("a /* b\n */ c"), "a     \n    c");
  EXPECT_EQ(code_only("f(\"x\\\"y\", 'z', 1'000)"), "f(      ,    , 1'000)");
  EXPECT_EQ(code_only("#define X \\\n  y\nz"), "           \n   \nz");
}

}  // namespace
}  // namespace spillway::tidy
