// The rules of model, data and train, one wrong field at a time.
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "config/data_config.h"
#include "config/model_config.h"
#include "config/train_config.h"

namespace megin::config {
namespace {

// The message of check() after `change`, or "" when it is content.
template <typename Config>
std::string error_after(const std::function<void(Config&)>& change, Config config = {}) {
  change(config);
  try {
    check(config);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

std::string model_error(const std::function<void(ModelConfig&)>& change) {
  return error_after<ModelConfig>(change);
}
std::string train_error(const std::function<void(TrainConfig&)>& change) {
  return error_after<TrainConfig>(change);
}
std::string data_error(const std::function<void(DataConfig&)>& change) {
  return error_after<DataConfig>(change);
}

TEST(CheckTest, DefaultsAreSound) {
  EXPECT_EQ(model_error([](ModelConfig&) {}), "");
  EXPECT_EQ(train_error([](TrainConfig&) {}), "");
  EXPECT_EQ(data_error([](DataConfig&) {}), "");
}

ModelConfig with_experts(const ExpertConfig& experts, int64_t layers) {
  ModelConfig config;
  config.encoder_layers = config.decoder_layers = layers;
  config.experts = experts;
  return config;
}

// Whether each layer of the decoder has experts: "x.x." of every second one.
std::string expert_layers_of(const ModelConfig& config) {
  std::string layers;
  for (int64_t i = 0; i < config.decoder_layers; ++i) {
    layers += is_expert_layer(config, Stack::kDecoder, i) ? 'x' : '.';
  }
  return layers;
}

TEST(ExpertLayerTest, CountsFromTheOffset) {
  EXPECT_EQ(expert_layers_of(with_experts({.count = 2, .every = 2, .offset = 0}, 5)), "x.x.x");
  EXPECT_EQ(expert_layers_of(with_experts({.count = 1, .every = 1, .offset = 0}, 3)), "...");
  EXPECT_EQ(expert_layers_of(with_experts({.count = 2, .every = 1, .offset = 0}, 4)), "xxxx");
  EXPECT_EQ(expert_layers_of(with_experts({.count = 2, .every = 3, .offset = 2}, 6)), "..x..x");
}

// stablemoe spec 1.1: one layer behind block 6 of 12 and 12 of 24; three behind 3, 6 and 9 (the published
// code puts the later ones too early, spec 1.1 and 5.8); the translation model's behind block 3 of both
// stacks.
TEST(ExpertLayerTest, InsertedLayersStandEvenly) {
  const auto inserted = [](int64_t count, int64_t layers, int64_t all) {
    return with_experts({.count = count, .body = ExpertBody::kInsert, .layers = layers}, all);
  };
  EXPECT_EQ(expert_layers_of(inserted(2, 1, 12)), ".....x......");
  EXPECT_EQ(expert_layers_of(inserted(2, 1, 24)), std::string(11, '.') + "x" + std::string(12, '.'));
  EXPECT_EQ(expert_layers_of(inserted(2, 3, 12)), "..x..x..x...");
  EXPECT_EQ(expert_layers_of(inserted(2, 1, 6)), "..x...");
  EXPECT_EQ(count_expert_layers(inserted(2, 1, 6)), 2);
  EXPECT_EQ(expert_layer_number(inserted(2, 3, 12), Stack::kDecoder, 5), 4);
  const ModelConfig one = inserted(1, 1, 4);
  EXPECT_EQ(expert_layers_of(one), "....") << "one expert is no choice";
  EXPECT_TRUE(has_inserted_layer(one, Stack::kDecoder, 1)) << "but a layer";
  EXPECT_FALSE(has_inserted_layer(one, Stack::kDecoder, 2));
}

// smoe_dropout spec 2.1 and 3.1: segments of 512 with as much memory, in use of 128 with a memory of 896.
TEST(ModelCheckTest, TransformerXlReadsInSegments) {
  for (const char* name :
       {"transformer_xl", "transformer_xl_8", "transformer_xl_12", "tiny_transformer_xl"}) {
    ModelConfig c;
    apply_model_preset(c, name);
    EXPECT_NO_THROW(check(c)) << name;
  }
  ModelConfig c;
  apply_model_preset(c, "transformer_xl");
  EXPECT_EQ(width_of_head(c), 64);
  EXPECT_EQ(attention_width(c), 512);
  EXPECT_EQ(training_segments(c).block, 512);
  EXPECT_EQ(training_segments(c).memory, 512);
  EXPECT_EQ(evaluation_segments(c).block, 128);
  EXPECT_EQ(evaluation_segments(c).memory, 896);
  EXPECT_EQ(attention_reach(c), 1024);
  EXPECT_EQ(evaluation_segments(c).first_seen(0), 0);
  EXPECT_EQ(evaluation_segments(c).first_seen(1023), 0);
  EXPECT_EQ(evaluation_segments(c).first_seen(1024), 128);
  EXPECT_EQ(evaluation_segments(c).first_seen(1151), 128);
  const auto broken = [&](const std::function<void(ModelConfig&)>& change) {
    ModelConfig other = c;
    change(other);
    EXPECT_THROW(check(other), UsageError);
  };
  broken([](ModelConfig& m) { m.positions = Positions::kRotary; });  // has a memory
  broken([](ModelConfig& m) { m.evaluation_block = 513; });
  broken([](ModelConfig& m) { m.memory = -1; });
  broken([](ModelConfig& m) { m.head_width = -1; });
  broken([](ModelConfig& m) {
    m.kind = ModelKind::kEncoderDecoder;
    m.encoder_layers = 2;
  });
  broken([](ModelConfig& m) { m.experts = {.count = 2, .body = ExpertBody::kInsert, .until = 2}; });
}

TEST(ModelCheckTest, AMaskedLanguageModelHasNoDecoder) {
  ModelConfig c;
  apply_model_preset(c, "tiny_mlm");
  const auto broken = [&](const std::function<void(ModelConfig&)>& change) {
    ModelConfig other = c;
    change(other);
    EXPECT_THROW(check(other), UsageError);
  };
  broken([](ModelConfig& m) { m.decoder_layers = 1; });
  broken([](ModelConfig& m) { m.encoder_layers = 0; });
  broken([](ModelConfig& m) { m.begin_vector = true; });
  broken([](ModelConfig& m) { m.positions = Positions::kRelative; });
  broken([](ModelConfig& m) { m.share_embeddings = ShareEmbeddings::kDecoder; });
  broken([](ModelConfig& m) { m.activation = Activation::kGeglu; });  // of the output transform
  broken([](ModelConfig& m) {
    m.share_embeddings = ShareEmbeddings::kNone;
    m.source_vocabulary = 5;
  });
  broken([](ModelConfig& m) { m.mixture.components = 2; });
  // What looks ahead may do so here.
  for (const RouterKind router : {RouterKind::kSentence, RouterKind::kExpertChoice}) {
    ModelConfig routed = c;
    routed.experts = {.count = 4, .router = router, .gate = Gate::kSoftmax};
    EXPECT_NO_THROW(check(routed));
    routed.experts.body = ExpertBody::kInsert;
    EXPECT_NO_THROW(check(routed));
    EXPECT_EQ(count_expert_layers(routed), 1);
  }
  ModelConfig translation;
  translation.norm_embeddings = true;
  EXPECT_NO_THROW(check(translation)) << "of what its encoder reads, which may begin with a masked_lm's";
  translation.output_transform = true;
  EXPECT_THROW(check(translation), UsageError);
}

TEST(ModelCheckTest, ExpertLayersMayEndBeforeTheStackDoes) {
  ModelConfig c;
  apply_model_preset(c, "transformer_xl_8");
  c.experts = {.count = 16, .every = 1, .until = 4};
  EXPECT_EQ(count_expert_layers(c), 4);
  EXPECT_TRUE(is_expert_layer(c, Stack::kDecoder, 3));
  EXPECT_FALSE(is_expert_layer(c, Stack::kDecoder, 4));
}

TEST(ModelCheckTest, ALanguageModelHasNoEncoder) {
  for (const char* name : {"tiny_lm", "base_lm", "large_lm"}) {
    ModelConfig c;
    apply_model_preset(c, name);
    EXPECT_NO_THROW(check(c));
    EXPECT_TRUE(is_causal_lm(c));
    EXPECT_EQ(c.norm_position, NormPosition::kPre);
  }
  ModelConfig c;
  apply_model_preset(c, "tiny_lm");
  c.encoder_layers = 1;
  EXPECT_THROW(check(c), UsageError);
  c.encoder_layers = 0;
  c.experts = {.count = 4, .router = RouterKind::kSentence, .gate = Gate::kSoftmax};
  EXPECT_THROW(check(c), UsageError) << "looks ahead";
  c.experts = {.count = 4, .body = ExpertBody::kInsert, .layers = 4};
  EXPECT_THROW(check(c), UsageError) << "no four places between four layers";
}

TEST(ModelCheckTest, BucketsHoldDistances) {
  const auto bucketed = [](int64_t buckets, int64_t distance) {
    return model_error([=](auto& c) {
      c.positions = Positions::kBucketed;
      c.position_buckets = buckets;
      c.position_distance = distance;
    });
  };
  EXPECT_EQ(bucketed(32, 128), "");
  EXPECT_EQ(bucketed(4, 3), "");
  EXPECT_EQ(bucketed(7, 128), "model.position_buckets: wanted an even number from 4 on, found 7");
  EXPECT_EQ(bucketed(2, 128), "model.position_buckets: wanted an even number from 4 on, found 2");
  EXPECT_EQ(bucketed(32, 16),
            "model.position_distance: wanted more than half of model.position_buckets (32), each of which "
            "holds one distance, found 16");
  EXPECT_EQ(model_error([](auto& c) { c.position_buckets = 16; }),
            "model.position_buckets: wanted 32, its default, unless model.positions is bucketed, found 16");
  EXPECT_EQ(model_error([](auto& c) {
              c.share_embeddings = ShareEmbeddings::kInputs;
              c.target_vocabulary = 7;
            }),
            "model.target_vocabulary: wanted that of the source (0), as share_embeddings is inputs, found 7");
}

TEST(ModelCheckTest, NamesTheFirstFieldThatCannotBe) {
  EXPECT_EQ(model_error([](auto& c) { c.width = 0; }), "model.width: wanted a positive even number, found 0");
  EXPECT_EQ(model_error([](auto& c) { c.heads = 3; }),
            "model.heads: wanted a number that divides model.width (128), found 3");
  EXPECT_EQ(model_error([](auto& c) { c.dropout = 1.0; }),
            "model.dropout: wanted a probability from 0 to below 1, found 1");
  EXPECT_EQ(model_error([](auto& c) { c.decoder_layers = 0; }),
            "model.decoder_layers: wanted a positive number, found 0");
  EXPECT_EQ(model_error([](auto& c) { c.target_vocabulary = 7; }),
            "model.target_vocabulary: wanted that of the source (0), as share_embeddings is all, found 7");
  EXPECT_EQ(model_error([](auto& c) { c.experts.count = 0; }),
            "model.experts.count: wanted 1 (dense) or more, found 0");
  EXPECT_EQ(model_error([](auto& c) { c.experts.offset = 2; }),
            "model.experts.offset: wanted from 0 to below model.experts.every (2), found 2");
  EXPECT_EQ(
      model_error([](auto& c) { c.experts = {.count = 2, .every = 9, .offset = 8}; }),
      "model.experts.offset: wanted an index that a layer has, or the model has no expert layer, found 8");
  EXPECT_EQ(
      model_error([](auto& c) {
        c.width = 6;
        c.heads = 2;
        c.positions = Positions::kRotary;
      }),
      "model.heads: wanted heads of an even width (model.width 6 / heads) for rotary positions, found 2");
}

TEST(TrainCheckTest, NamesTheFirstFieldThatCannotBe) {
  EXPECT_EQ(train_error([](auto& c) { c.objective.passes = 3; }),
            "train.objective.passes: wanted 1 or 2, found 3");
  EXPECT_EQ(
      train_error([](auto& c) {
        c.objective.passes = 2;
        c.objective.teacher.model = "runs/smoe";
      }),
      "train.objective.passes: wanted 1 with train.objective.teacher.model, whose predictions are of one "
      "pass, found 2");
  EXPECT_EQ(train_error([](auto& c) { c.objective.teacher.temperature = 2; }),
            "train.objective.teacher.model: wanted a model to learn from with the other keys of "
            "train.objective.teacher, found none");
  EXPECT_EQ(train_error([](auto& c) {
              c.objective.teacher = {.model = "runs/smoe"};
              c.objective.weight_first = 0;
            }),
            "")
      << "a teacher alone teaches, too";
  EXPECT_EQ(train_error([](auto& c) { c.objective.teacher = {.model = "runs/smoe", .temperature = 0}; }),
            "train.objective.teacher.temperature: wanted a positive number, found 0");
  EXPECT_EQ(train_error([](auto& c) { c.objective.weight_first = 0; }),
            "train.objective.weight_first: wanted a cross-entropy with a positive weight, or nothing is "
            "learnt, found 0");
  EXPECT_EQ(train_error([](auto& c) {
              c.objective.passes = 2;
              c.objective.weight_first = 0;
            }),
            "");
  EXPECT_EQ(train_error([](auto& c) { c.optimizer.beta2 = 1; }),
            "train.optimizer.beta2: wanted from 0 to below 1, found 1");
  EXPECT_EQ(train_error([](auto& c) { c.validation.best_by = std::string("chrf"); }),
            "train.validation.best_by: wanted bleu, loss or accuracy, found 'chrf'");
  EXPECT_EQ(train_error([](auto& c) { c.validation.bleu = false; }),
            "train.validation.best_by: wanted loss, as train.validation.bleu is false, found bleu");
  EXPECT_EQ(
      train_error([](auto& c) { c.validation.experts = std::string("some"); }),
      "train.validation.experts: wanted sentence, token, position, batch, ensemble, router, k=K with so many "
      "experts a token, or path:E with one expert, for all expert layers or one for each, as k=8,4 and "
      "path:0,1; found 'some'");
  EXPECT_EQ(train_error([](auto& c) { c.average_checkpoints = 9; }),
            "train.average_checkpoints: wanted from 0 to train.keep_checkpoints (5), found 9");
  EXPECT_EQ(train_error([](auto& c) { c.batch_tokens = 0; }),
            "train.batch_tokens: wanted 1 or more, found 0");
}

TEST(DataCheckTest, NamesTheFirstFieldThatCannotBe) {
  const auto with_corpus = [](CorpusConfig corpus) {
    return data_error([&](DataConfig& c) { c.corpora.push_back(corpus); });
  };
  EXPECT_EQ(with_corpus({.paths = {"a.tmx"}}), "");
  EXPECT_EQ(with_corpus({}), "data.corpora.0.paths: wanted one file, or two (source, target), found 0 files");
  EXPECT_EQ(with_corpus({.format = "xml", .paths = {"a"}}),
            "data.corpora.0.format: wanted one of auto, plain, tsv, tmx, po, mo, found 'xml'");
  EXPECT_EQ(with_corpus({.format = "plain", .paths = {"a"}}),
            "data.corpora.0.paths: wanted two files (source, target) for plain, found 1");
  EXPECT_EQ(with_corpus({.paths = {"a"}, .weight = 0}),
            "data.corpora.0.weight: wanted a positive number, found 0");
  EXPECT_EQ(with_corpus({.paths = {"a"}, .source_column = "2"}),
            "data.corpora.0.target_column: wanted another column than the source's, found 2");
  EXPECT_EQ(with_corpus({.paths = {"a"}, .source_column = "0"}),
            "data.corpora.0.source_column: wanted a number from 1, or a name, found '0'");
  EXPECT_EQ(with_corpus({.paths = {"a"}, .source_column = "question", .target_column = "question"}),
            "data.corpora.0.target_column: wanted another column than the source's, found question");
  EXPECT_EQ(
      with_corpus({.paths = {"a"}, .where = "fold"}),
      "data.corpora.0.where: wanted a column and what it is or is not, as \"fold = 0\" or \"fold != 0\", "
      "found \"fold\"");
  EXPECT_EQ(with_corpus({.paths = {"a"}, .where = "fold != 0"}), "");
  EXPECT_EQ(data_error([](auto& c) { c.split.test.emplace_back(); }),
            "data.split.test.0.paths: wanted one file, or two (source, target), found 0 files");
  EXPECT_EQ(data_error([](auto& c) { c.cleaning.max_ratio = 0.5; }),
            "data.cleaning.max_ratio: wanted 0 (no limit), or 1 or more, found 0.5");
  EXPECT_EQ(data_error([](auto& c) { c.subword.vocabulary = 100; }),
            "data.subword.vocabulary: wanted 261 or more (byte_fallback takes 256), found 100");
  EXPECT_EQ(data_error([](auto& c) {
              c.subword.symbols = {"number0", "a b"};
            }),
            "data.subword.symbols: wanted words without spaces, commas and quotes, found 'a b'");
  EXPECT_EQ(data_error([](auto& c) {
              c.subword.byte_fallback = false;
              c.subword.symbols = {"number0", "number1"};
              c.subword.vocabulary = 6;
            }),
            "data.subword.vocabulary: wanted 7 or more, found 6");
  EXPECT_EQ(data_error([](auto& c) { c.subword.target_model = std::string(1, 'm'); }),
            "data.subword.target_model: wanted none, as data.subword.joint is true, found 'm'");
  EXPECT_EQ(data_error([](auto& c) { c.max_tokens = 1; }), "data.max_tokens: wanted 2 or more, found 1");
}

TEST(CheckTest, BytesRefuseWhatTheyDoNotRead) {
  const auto bytes_error = [](const std::function<void(DataConfig&)>& change) {
    DataConfig config;
    config.task = Task::kBytes;
    config.corpora = {{.paths = {"text"}}};
    config.bytes.valid_bytes = 10;
    return error_after<DataConfig>(change, config);
  };
  EXPECT_EQ(bytes_error([](DataConfig&) {}), "");
  EXPECT_EQ(bytes_error([](DataConfig& c) { c.bytes.test_bytes = -1; }),
            "data.bytes.test_bytes: wanted 0 (none) or more, found -1");
  EXPECT_EQ(
      bytes_error([](DataConfig& c) { c.split.test = {{.paths = {"test"}}}; }),
      "data.bytes: wanted valid_bytes and test_bytes to cut, or data.split.valid and data.split.test as "
      "given sets, found both");
  EXPECT_EQ(
      bytes_error([](DataConfig& c) { c.bytes.valid_bytes = 0; }),
      "data.bytes.valid_bytes: wanted bytes to cut for validation, or a text given as data.split.valid, "
      "found neither");
  EXPECT_EQ(bytes_error([](DataConfig& c) { c.subword.vocabulary = 300; }),
            "data.subword.vocabulary: wanted 8000, as data.task bytes does not read it, found 300");
  EXPECT_EQ(bytes_error([](DataConfig& c) { c.subword.kind = SubwordKind::kBpe; }),
            "data.subword.kind: wanted unigram, as data.task bytes does not read it, found bpe");
  EXPECT_EQ(bytes_error([](DataConfig& c) { c.cleaning.max_words = 3; }),
            "data.cleaning: wanted none of its keys, as bytes are not cleaned, found some");
  EXPECT_EQ(bytes_error([](DataConfig& c) { c.max_tokens = 30; }),
            "data.max_tokens: wanted 256, as data.task bytes does not read it, found 30");
  EXPECT_EQ(data_error([](DataConfig& c) { c.bytes.newlines = Newlines::kDrop; }),
            "data.bytes: wanted none of its keys, as data.task is not bytes, found some");
}

TEST(CheckTest, ClassificationReadsTsvFilesOfSentencesAndLabels) {
  const auto error = [](const std::function<void(DataConfig&)>& change) {
    DataConfig config;
    config.task = Task::kClassification;
    config.corpora = {{.paths = {"train.tsv"}}};
    return error_after<DataConfig>(change, config);
  };
  EXPECT_EQ(error([](DataConfig&) {}), "");
  EXPECT_EQ(error([](DataConfig& c) {
              c.corpora[0].paths = {"a", "b"};
            }),
            "data.corpora.0.paths: wanted one TSV file of sentences with labels, found 2 files");
  EXPECT_EQ(error([](DataConfig& c) { c.corpora[0].format = "tmx"; }),
            "data.corpora.0.format: wanted auto or tsv for sentences with labels (data.task classification), "
            "found 'tmx'");
  EXPECT_EQ(error([](DataConfig& c) { c.corpora[0].tag = "<2de>"; }),
            "data.corpora.0.tag: wanted none for data.task classification, found '<2de>'");
  EXPECT_EQ(error([](DataConfig& c) { c.subword.joint = false; }),
            "data.subword.joint: wanted true for data.task classification, which has one side, found false");
  EXPECT_EQ(error([](DataConfig& c) { c.cleaning.max_ratio = 2; }),
            "data.cleaning.max_ratio: wanted 3, as data.task classification does not read it, found 2");
  EXPECT_EQ(error([](DataConfig& c) { c.max_tokens = 2; }),
            "data.max_tokens: wanted 3 or more: a sentence has a mark on either side, found 2");
}

TEST(CheckTest, AClassifierIsALanguageModelWithAHead) {
  EXPECT_EQ(model_error([](ModelConfig& c) { c.classes = 1; }),
            "model.classes: wanted 0, or 2 or more, found 1");
  EXPECT_EQ(
      model_error([](ModelConfig& c) { c.classes = 2; }),
      "model.classes: wanted 0 in an encoder_decoder; a classifier is a language model with a head, found 2");
  EXPECT_EQ(train_error([](TrainConfig& c) { c.batch_sentences = -1; }),
            "train.batch_sentences: wanted 0 (no limit) or more, found -1");
}

// A sentence is one segment, however short those of a text are in evaluation.
TEST(CheckTest, AClassifierSeesAllOfASentence) {
  ModelConfig config;
  apply_model_preset(config, "tiny_transformer_xl");
  EXPECT_EQ(evaluation_segments(config).first_seen(127), 0);
  config.memory = 0;
  EXPECT_EQ(evaluation_segments(config).first_seen(127), 96 - 96);
  config.max_length = 120;
  config.evaluation_block = 50;
  EXPECT_EQ(evaluation_segments(config).first_seen(119), 100 - 70);
  config.classes = 2;
  EXPECT_EQ(evaluation_segments(config).first_seen(119), 0);
}

}  // namespace
}  // namespace megin::config
