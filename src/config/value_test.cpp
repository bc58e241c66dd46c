#include "config/value.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace megin::config {
namespace {

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "(no UsageError)";
}

TEST(ParseYamlTest, RemembersWhereEveryValueStands) {
  const Value root = parse_yaml("model:\n  width: 128\n  names: [a, b]\n", "r.yaml");
  ASSERT_NE(root.find("model"), nullptr);
  const Value* width = root.find("model")->find("width");
  ASSERT_NE(width, nullptr);
  EXPECT_EQ(width->text, "128");
  EXPECT_EQ(width->where, "r.yaml:2:10");
  EXPECT_EQ(root.find("model")->find("names")->items[1].where, "r.yaml:3:14");
  EXPECT_EQ(root.find("model")->members[1].where, "r.yaml:3:3");
}

TEST(ParseYamlTest, ReadsJsonAndEmptyFiles) {
  EXPECT_EQ(parse_yaml(R"({"a": {"b": "\u00e4"}})", "x").find("a")->find("b")->text, "\xC3\xA4");
  EXPECT_EQ(parse_yaml("", "x").kind, Value::Kind::kNothing);
  EXPECT_EQ(parse_yaml("# only a comment\n", "x").kind, Value::Kind::kNothing);
}

TEST(ParseYamlTest, NamesThePlaceOfASyntaxError) {
  EXPECT_TRUE(
      message_of([] { parse_yaml("a: 1\nb: [1, 2\n", "r.yaml"); }).starts_with("r.yaml:3:1: not valid YAML"));
  EXPECT_EQ(message_of([] { parse_yaml("a: 1\na: 2\n", "r.yaml"); }),
            "r.yaml:2:1: the key 'a' is given twice");
  EXPECT_EQ(message_of([] { parse_yaml("a: 1\n---\nb: 2\n", "r.yaml"); }),
            "r.yaml: wanted one YAML document, found 2");
  EXPECT_EQ(message_of([] { parse_yaml("? [a, b]\n: 1\n", "r.yaml"); }),
            "r.yaml:1:3: wanted a name as key, found a list or a map");
}

TEST(ParseYamlTest, RefusesAliasesThatBlowUp) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    bomb += fmt::format(
        "a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  EXPECT_EQ(message_of([&] { parse_yaml(bomb, "r.yaml"); }),
            "r.yaml: more than 100000 values, aliases counted; write it without aliases");
}

TEST(ParseYamlTest, RefusesNestingWithoutEnd) {
  EXPECT_NE(message_of([] { parse_yaml(std::string(100'000, '['), "r.yaml"); }), "(no UsageError)");
}

TEST(MergeTest, JoinsMapsAndReplacesTheRest) {
  Value base = parse_yaml("{a: {x: 1, y: 2}, list: [1, 2], keep: k}", "base");
  merge(base, parse_yaml("{a: {y: 3, z: 4}, list: [9], a2: n, keep: }", "over"));
  EXPECT_EQ(base.find("a")->find("x")->text, "1");
  EXPECT_EQ(base.find("a")->find("y")->text, "3");
  EXPECT_EQ(base.find("a")->find("z")->text, "4");
  EXPECT_EQ(base.find("list")->items.size(), 1u);
  EXPECT_EQ(base.find("a2")->text, "n");
  EXPECT_EQ(base.find("keep")->text, "k");
}

TEST(OverrideTest, SetsAddsAndIndexes) {
  Value root = parse_yaml("{train: {seed: 1}, data: {corpora: [{paths: [a]}]}}", "r.yaml");
  apply_override(root, "train.seed=2");
  apply_override(root, "model.experts.count=4");
  apply_override(root, "data.corpora.0.paths=[x, y]");
  apply_override(root, "data.corpora.1.tag=<2de>");
  apply_override(root, "train.run=a=b: c");
  apply_override(root, "train.data=");
  EXPECT_EQ(root.find("train")->find("seed")->text, "2");
  EXPECT_EQ(root.find("train")->find("seed")->where, "--set train.seed=2");
  EXPECT_EQ(root.find("model")->find("experts")->find("count")->text, "4");
  ASSERT_EQ(root.find("data")->find("corpora")->items.size(), 2u);
  EXPECT_EQ(root.find("data")->find("corpora")->items[0].find("paths")->items[1].text, "y");
  EXPECT_EQ(root.find("data")->find("corpora")->items[1].find("tag")->text, "<2de>");
  EXPECT_EQ(root.find("train")->find("run")->text, "a=b: c");
  EXPECT_EQ(root.find("train")->find("data")->kind, Value::Kind::kText);
  EXPECT_EQ(root.find("train")->find("data")->text, "");
}

TEST(OverrideTest, RefusesWhatHasNoMeaning) {
  Value root = parse_yaml("{list: [a, b]}", "r.yaml");
  EXPECT_EQ(message_of([&] { apply_override(root, "train.seed"); }),
            "--set train.seed: wanted KEY=VALUE, as in --set train.seed=2");
  EXPECT_EQ(message_of([&] { apply_override(root, "=3"); }),
            "--set =3: wanted KEY=VALUE, as in --set train.seed=2");
  EXPECT_EQ(message_of([&] { apply_override(root, "a..b=3"); }),
            "--set a..b=3: an empty name in the key; wanted names joined by dots");
  EXPECT_EQ(message_of([&] { apply_override(root, "list.7=3"); }),
            "--set list.7=3: '7' is no item of a list of 2; wanted a number from 0 to 2 (which appends)");
  EXPECT_TRUE(message_of([&] { apply_override(root, "list=[a"); }).starts_with("--set list=[a:1:"));
}

TEST(FromJsonTest, KeepsTextsNumbersAndNothing) {
  const Value value =
      from_json(nlohmann::json::parse(R"({"a": 5, "b": 0.5, "c": true, "d": "t", "e": null, "f": [1]})"),
                "config.json");
  EXPECT_EQ(value.find("a")->text, "5");
  EXPECT_EQ(value.find("b")->text, "0.5");
  EXPECT_EQ(value.find("c")->text, "true");
  EXPECT_EQ(value.find("d")->text, "t");
  EXPECT_EQ(value.find("e")->kind, Value::Kind::kNothing);
  EXPECT_EQ(value.find("f")->items.size(), 1u);
  EXPECT_EQ(value.find("f")->where, "config.json");
}

}  // namespace
}  // namespace megin::config
