// The presets of models, by the papers.
#include <gtest/gtest.h>

#include <tuple>

#include "config/model_config.h"

namespace megin::config {
namespace {

TEST(PresetTest, AreTheArchitecturesOfThePapers) {
  struct Wanted {
    const char* name;
    int64_t width, feed_forward, heads, encoder_layers, decoder_layers;
    double dropout;
  };
  for (const Wanted& w :
       {Wanted{"tiny", 128, 256, 4, 4, 4, .3}, Wanted{"small", 256, 512, 4, 3, 3, .3},
        Wanted{"iwslt", 512, 1024, 4, 6, 6, .3}, Wanted{"base", 512, 2048, 8, 6, 6, .1},
        Wanted{"big", 1024, 4096, 16, 6, 6, .3}, Wanted{"multilingual", 768, 3072, 12, 12, 6, .1}}) {
    ModelConfig c;
    apply_model_preset(c, w.name);
    EXPECT_EQ(c.preset, w.name);
    EXPECT_EQ(c.width, w.width) << w.name;
    EXPECT_EQ(c.feed_forward, w.feed_forward) << w.name;
    EXPECT_EQ(c.heads, w.heads) << w.name;
    EXPECT_EQ(c.encoder_layers, w.encoder_layers) << w.name;
    EXPECT_EQ(c.decoder_layers, w.decoder_layers) << w.name;
    EXPECT_EQ(c.dropout, w.dropout) << w.name;
    EXPECT_NO_THROW(check(c)) << w.name;
  }
  ModelConfig tiny;
  apply_model_preset(tiny, "tiny");
  EXPECT_EQ(tiny, ModelConfig{}) << "the struct's defaults are the preset it names";
}

// smoe_dropout spec 2.3; the rest by the published base configurations of BERT and RoBERTa.
TEST(PresetTest, MaskedLanguageModelsAreEncoders) {
  for (const auto& [name, width, feed_forward, layers, epsilon] : {std::tuple{"tiny_mlm", 128, 512, 4, 1e-5},
                                                                   {"bert", 768, 6144, 12, 1e-12},
                                                                   {"roberta", 768, 3072, 12, 1e-5}}) {
    ModelConfig c;
    apply_model_preset(c, name);
    EXPECT_NO_THROW(check(c)) << name;
    EXPECT_TRUE(is_masked_lm(c) && is_language_model(c) && has_encoder(c) && !has_decoder(c)) << name;
    EXPECT_EQ(c.width, width) << name;
    EXPECT_EQ(c.feed_forward, feed_forward) << name;
    EXPECT_EQ(c.encoder_layers, layers) << name;
    EXPECT_EQ(c.decoder_layers, 0) << name;
    EXPECT_EQ(c.norm_epsilon, epsilon) << name;
    EXPECT_EQ(c.positions, Positions::kLearned) << name;
    EXPECT_EQ(c.activation, Activation::kGelu) << name;
    EXPECT_EQ(c.norm_position, NormPosition::kPost) << name;
    EXPECT_TRUE(c.norm_embeddings && c.output_transform && c.output_bias && !c.scale_embeddings) << name;
  }
}

}  // namespace
}  // namespace megin::config
