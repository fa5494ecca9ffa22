#include "orchestrator/cli/token_estimate.hpp"

#include "orchestrator/cli/plan_scan.hpp"

#include <gtest/gtest.h>

namespace spillway {
namespace {

struct sample {
  double tokens;  ///< as tiktoken counts them in o200k_base
  const char* text;
};
constexpr sample samples[] = {
    {25,
     R"(A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total does it take?)"},
    {41,
     R"(The quick brown fox jumps over the lazy dog, and nobody was surprised by that any more than by the weather in April, which had been cold, wet and windy from the first day to the last.)"},
    {44,
     "for (std::size_t i = 0; i < lanes.size(); ++i) {\n  if (lanes[i].config.model != kind.model) "
     "continue;\n  total += lanes[i].expected;\n}\n"},
    {49,
     R"({"custom_id": "a-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-5.4-mini", "temperature": 0.2}})"},
    {28,
     R"(Die Verwaltung der Wasserstraßen hat beschlossen, dass alle Schleusen am Wochenende geschlossen bleiben, weil die Pegelstände außergewöhnlich niedrig sind.)"},
    {24,
     R"(Dans la plupart des villes, les bibliothèques municipales sont ouvertes le samedi et proposent des ateliers gratuits pour les enfants.)"},
    {24,
     R"(Правительство объявило о новых мерах поддержки малого бизнеса, включая снижение налогов и упрощение отчётности.)"},
    {32,
     R"(今日は朝から雨が降っていて、駅までの道がとても混んでいました。会議は午後三時から始まります。)"},
    {22, R"(政府宣布将在未来五年内投资建设新的高速铁路网络，以改善偏远地区的交通条件。)"},
    {27, R"(모든 참가자는 행사 시작 30분 전까지 등록을 마쳐야 하며 신분증을 지참해야 합니다.)"},
    {16, R"(أعلنت الحكومة عن خطة جديدة لتطوير التعليم في المدارس الحكومية خلال السنوات القادمة.)"},
    {21, R"(सरकार ने किसानों के लिए नई योजना की घोषणा की है जिससे उनकी आय बढ़ने की उम्मीद है।)"},
};

TEST(token_estimate, is_near_what_a_tokenizer_counts) {
  double estimated = 0, counted = 0;
  for (const auto& [tokens, text] : samples) {
    const double n = estimate_tokens(text);
    EXPECT_NEAR(n, tokens, tokens * 0.7) << text;
    estimated += n;
    counted += tokens;
  }
  EXPECT_NEAR(estimated, counted, counted * 0.12);
}

TEST(token_estimate, takes_any_bytes) {
  EXPECT_EQ(estimate_tokens(""), 0);
  for (const char* text : {"\xff", "\xe4\xbd", "a\xc3", "\xf0\x9f\x98\x80", "\x01"})
    EXPECT_GT(estimate_tokens(text), 0) << text;
}

TEST(token_estimate, of_a_prompt_counts_what_the_model_reads) {
  const auto chat = [](const std::string& content) {
    return R"({"model":"m","messages":[{"role":"user","content":)" + content + R"(}],"user":"x"})";
  };
  const auto of = [](const std::string& body, std::int64_t images = 0) {
    return estimate_input(body, endpoint_kind::chat_completions, images);
  };
  const double text = estimate_tokens("Say \"ok\".");
  EXPECT_DOUBLE_EQ(of(chat(R"("Say \"ok\".")")), text + 7);
  const auto picture = chat(R"([{"type":"text","text":"Say \"ok\"."},{"type":"image_url",)"
                            R"("image_url":{"url":"data:image/png;base64,AAAA"}}])");
  EXPECT_DOUBLE_EQ(of(picture, 1), text + 7 + 800) << "an image's bytes are no text";
  EXPECT_GT(of(R"({"messages":[],"tools":[{"type":"function","function":{"name":"f"}}]})"), 10);
  EXPECT_DOUBLE_EQ(estimate_input(R"({"input":[[1,2,3],[4]]})", endpoint_kind::embeddings, 0), 4);
  EXPECT_DOUBLE_EQ(estimate_input("{", endpoint_kind::embeddings, 0), 0.25);
}

}  // namespace
}  // namespace spillway
