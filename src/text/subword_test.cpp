#include "text/subword.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "text/subword_backend.h"

namespace megin::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A few hundred different sentences of a tiny grammar, with letters outside ASCII.
std::vector<std::string> sentences() {
  std::vector<std::string> list;
  for (const char* who : {"Der Hund", "Die Katze", "Ein Mädchen", "Zwölf Männer", "The girl", "My brother"}) {
    for (const char* does :
         {"läuft über", "springt über", "sieht", "malt", "jumps over", "paints", "öffnet"}) {
      for (const char* what : {"die Straße", "den Fluss", "das Haus", "a house", "the river", "Bücher"}) {
        list.push_back(std::string(who) + " " + does + " " + what + ".");
      }
    }
  }
  return list;
}

SentenceSource from(const std::vector<std::string>& list) {
  return [&list, at = size_t{0}](std::string& sentence) mutable {
    if (at == list.size()) return false;
    sentence = list[at++];
    return true;
  };
}

std::string train(int64_t vocabulary, std::vector<std::string> tags = {}, SubwordTraining training = {}) {
  const std::vector<std::string> list = sentences();
  training.config.vocabulary = vocabulary;
  training.tags = std::move(tags);
  return train_subword(training, from(list));
}

const SubwordModel& model() {
  static const SubwordModel made = SubwordModel::from_bytes(train(312, {"<2de>", "<2en>"}), "test");
  return made;
}

std::vector<std::string> pieces(const SubwordModel& model, const std::vector<int32_t>& ids) {
  std::vector<std::string> list;
  for (const int32_t id : ids) list.push_back(model.piece(id));
  return list;
}

TEST(Subword, AMaskSymbolIsOneOfTheVocabularyThatNoTextHas) {
  EXPECT_FALSE(model().mask_id().has_value());
  SubwordTraining training;
  training.config.mask_symbol = true;
  const SubwordModel masked = SubwordModel::from_bytes(train(312, {"<2de>"}, training), "test");
  EXPECT_EQ(masked.size(), 312);
  ASSERT_TRUE(masked.mask_id().has_value());
  EXPECT_GE(*masked.mask_id(), kSpecialIds);
  EXPECT_EQ(masked.piece(*masked.mask_id()), "<mask>");
  const std::vector<int32_t> ids = masked.encode("The <mask> paints <mask>");
  EXPECT_THAT(ids, testing::Not(testing::Contains(*masked.mask_id())));
  EXPECT_EQ(masked.decode(ids), "The <mask> paints <mask>");
}

TEST(Subword, SpecialSymbolsStandWhereFairseqPutsThem) {
  EXPECT_EQ(model().piece(kBeginId), "<s>");
  EXPECT_EQ(model().piece(kPadId), "<pad>");
  EXPECT_EQ(model().piece(kEndId), "</s>");
  EXPECT_EQ(model().piece(kUnknownId), "<unk>");
  EXPECT_EQ(model().size(), 312);
}

TEST(Subword, DecodingGivesTheNormalisedTextBack) {
  for (const std::string& sentence : sentences()) {
    EXPECT_EQ(model().decode(model().encode(sentence)), sentence);
  }
  EXPECT_EQ(model().decode(model().encode("")), "");
  EXPECT_EQ(model().decode(model().encode("  Öffnen… \t ½  日本 ")), "Öffnen… ½ 日本");
}

TEST(Subword, AnyUnicodeComesBackWithByteFallback) {
  const uint64_t key = draw_key(7, Purpose::kSampling);
  for (uint64_t round = 0; round < 500; ++round) {
    std::string text;
    for (uint64_t i = 0; i < 12; ++i) {
      // Any code point of the first two planes; surrogates become U+FFFD on the way in.
      const auto code = static_cast<uint32_t>(draw_index(key, round * 16 + i, i % 2 == 0 ? 0x250 : 0x1F700));
      if (code < 0x80) {
        text += static_cast<char>(code);
      } else if (code < 0x800) {
        text += {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 63))};
      } else if (code < 0x10000) {
        text += {static_cast<char>(0xE0 | (code >> 12)), static_cast<char>(0x80 | ((code >> 6) & 63)),
                 static_cast<char>(0x80 | (code & 63))};
      } else {
        text += {static_cast<char>(0xF0 | (code >> 18)), static_cast<char>(0x80 | ((code >> 12) & 63)),
                 static_cast<char>(0x80 | ((code >> 6) & 63)), static_cast<char>(0x80 | (code & 63))};
      }
    }
    const std::string normal = normalise_for_subwords(text);
    ASSERT_EQ(model().decode(model().encode(text)), normal) << "round " << round;
    ASSERT_EQ(normalise_for_subwords(normal), normal) << "round " << round;
  }
}

TEST(Subword, NormalisationComposesAndKeepsEverythingElse) {
  EXPECT_EQ(normalise_for_subwords("Ma\xCC\x88nner"), "Männer");  // a + combining diaeresis
  EXPECT_EQ(normalise_for_subwords("ﬁ ½ … №"), "ﬁ ½ … №");        // NFKC would change all four
  EXPECT_EQ(normalise_for_subwords("a▁b"), "a b");                // SentencePiece's own mark of a space
  EXPECT_EQ(normalise_for_subwords("a\xFFz"), "a\xEF\xBF\xBDz");  // not UTF-8
}

TEST(Subword, ALanguageTagIsOneIdAndHidesNoSpace) {
  const std::vector<int32_t> plain = model().encode("Der Hund");
  std::vector<int32_t> tagged = model().encode("<2de> Der Hund");
  ASSERT_FALSE(tagged.empty());
  EXPECT_EQ(model().piece(tagged[0]), "<2de>");
  tagged.erase(tagged.begin());
  EXPECT_EQ(tagged, plain);
  EXPECT_EQ(model().decode(model().encode("<2en> Der Hund")), "<2en> Der Hund");
  EXPECT_THAT(pieces(model(), model().encode("<2de>")), ElementsAre("<2de>"));
  EXPECT_NE(model().piece(model().encode("<2fr> Der Hund")[0]), "<2fr>");
}

TEST(Subword, WordsAskedForAreOneSymbolEach) {
  const std::vector<std::string> list = {"tom has number0 books and number1 pens", "+ number0 number1",
                                         "- number1 number0", "twenty-one of number10 pens are red + blue"};
  for (const auto kind : {config::SubwordKind::kUnigram, config::SubwordKind::kBpe}) {
    SubwordTraining training;
    training.config.kind = kind;
    training.config.vocabulary = 288;
    training.config.symbols = {"number0", "number1", "+", "-"};
    const SubwordModel made = SubwordModel::from_bytes(train_subword(training, from(list)), "words");
    EXPECT_THAT(pieces(made, made.encode("- number1 number0")), ElementsAre("▁-", "▁number1", "▁number0"));
    EXPECT_THAT(pieces(made, made.encode("+")), ElementsAre("▁+"));
    for (const std::string& sentence : list) EXPECT_EQ(made.decode(made.encode(sentence)), sentence);
    // Inside a word they are no words.
    EXPECT_THAT(pieces(made, made.encode("twenty-one")), testing::Not(testing::Contains("▁-")));
  }
}

TEST(Subword, TagsHaveOneForm) {
  EXPECT_TRUE(is_language_tag("<2de>"));
  EXPECT_TRUE(is_language_tag("<2pt-BR>"));
  for (const char* wrong : {"", "<2>", "<de>", "2de", "<2d e>", "<2de", "<2de>>", "<2a,b>"}) {
    EXPECT_FALSE(is_language_tag(wrong)) << wrong;
  }
  EXPECT_THROW(train(312, {"de"}), UsageError);
}

TEST(Subword, TrainingIsDeterministic) {
  for (const auto kind : {config::SubwordKind::kUnigram, config::SubwordKind::kBpe}) {
    SubwordTraining training;
    training.config.kind = kind;
    EXPECT_EQ(train(312, {}, training), train(312, {}, training));
  }
}

TEST(Subword, WithoutByteFallbackAForeignCharacterIsUnknown) {
  SubwordTraining training;
  training.config.byte_fallback = false;
  const SubwordModel bare = SubwordModel::from_bytes(train(60, {}, training), "bare");
  EXPECT_THAT(bare.encode("日"), testing::Contains(kUnknownId));
  EXPECT_THAT(bare.decode(std::vector<int32_t>{kUnknownId}), HasSubstr("⁇"));
}

TEST(Subword, BeginEndAndPaddingAreNoText) {
  std::vector<int32_t> ids = model().encode("Der Hund");
  ids.insert(ids.begin(), kBeginId);
  ids.insert(ids.end(), {kEndId, kPadId, kPadId});
  EXPECT_EQ(model().decode(ids), "Der Hund");
}

TEST(Subword, TooSmallATextNamesTheLargestVocabulary) {
  try {
    train(8000);
    FAIL() << "wanted an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("subword.vocabulary: wanted 8000 symbols, but 252 sentences give at most "));
    const std::string text = error.what();
    const int64_t most = std::stoll(text.substr(text.find("at most ") + 8));
    EXPECT_EQ(SubwordModel::from_bytes(train(most), "most").size(), most);
  }
}

TEST(Subword, TooSmallAVocabularyNamesTheSmallest) {
  try {
    train(100);
    FAIL() << "wanted an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("wanted 100 symbols, but single characters alone need "));
  }
}

TEST(Subword, ErrorsOfTheSourceComeThrough) {
  const SentenceSource broken = [](std::string&) -> bool { fail("corpus.txt:3: broken"); };
  EXPECT_THROW(train_subword({}, broken), Error);
  EXPECT_THROW(train_subword({}, [](std::string&) { return false; }), Error);
}

TEST(Subword, WhatIsNoModelIsNamed) {
  for (const std::string& bytes :
       {std::string("this is no model"), std::string(), model().bytes().substr(0, 500)}) {
    try {
      SubwordModel::from_bytes(bytes, "x.model");
      FAIL() << "wanted an error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("x.model: wanted a SentencePiece model"));
    }
  }
}

TEST(Subword, IdsOutsideTheVocabularyAreErrors) {
  EXPECT_THROW(model().decode(std::vector<int32_t>{312}), Error);
  EXPECT_THROW(model().decode(std::vector<int32_t>{-1}), Error);
  EXPECT_THROW(model().piece(312), Error);
  EXPECT_EQ(model().id("nothing like this"), std::nullopt);
}

// A model as other tools make them: <unk> <s> </s> at 0 to 2 and no padding.
SubwordModel foreign_model() {
  const std::vector<TrainerOption> options = {{"model_type", "bpe"},
                                              {"vocab_size", "120"},
                                              {"minloglevel", "3"},
                                              {"normalization_rule_name", "identity"}};
  const std::vector<std::string> list = sentences();
  SentenceSource source = from(list);
  struct State {
    SentenceSource* source;
    std::string line;
  } state{&source, {}};
  const LineSource lines{&state, [](void* context, const char** bytes, uint64_t* size) {
                           auto& s = *static_cast<State*>(context);
                           if (!(*s.source)(s.line)) return false;
                           *bytes = s.line.data();
                           *size = s.line.size();
                           return true;
                         }};
  std::string bytes;
  const TextSink sink{&bytes, [](void* context, const char* put, uint64_t size) {
                        static_cast<std::string*>(context)->append(put, size);
                      }};
  EXPECT_TRUE(subword_backend().train({options.data(), options.size()}, lines, sink, sink)) << bytes;
  return SubwordModel::from_bytes(bytes, "foreign");
}

TEST(Subword, AModelWithOtherIdsIsRenumbered) {
  const SubwordModel foreign = foreign_model();
  EXPECT_EQ(foreign.size(), 121);  // its 120 symbols, and the padding that it lacks
  EXPECT_EQ(foreign.piece(kPadId), "<pad>");
  EXPECT_EQ(foreign.piece(kUnknownId), "<unk>");
  EXPECT_EQ(foreign.piece(kEndId), "</s>");
  EXPECT_EQ(foreign.id("<s>"), kBeginId);
  for (const std::string& sentence : sentences()) {
    const std::vector<int32_t> ids = foreign.encode(sentence);
    for (const int32_t id : ids) EXPECT_GE(id, kSpecialIds);
    EXPECT_EQ(foreign.decode(ids), sentence);
  }
  EXPECT_EQ(foreign.encode("日"), (std::vector<int32_t>{*foreign.id("▁"), kUnknownId}));
}

TEST(Subword, OneModelServesManyThreads) {
  const std::vector<std::string> list = sentences();
  std::vector<std::vector<int32_t>> expected;
  for (const std::string& sentence : list) expected.push_back(model().encode(sentence));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < list.size(); ++i) wrong[t] += model().encode(list[i]) != expected[i];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

}  // namespace
}  // namespace megin::text
