// The table of subword_backend.h, filled in with SentencePiece: the only file that includes it. It uses
// nothing of megin's, since the plugin is made of this file alone.
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <exception>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/subword_backend.h"

namespace megin::text {
namespace {

namespace sp = sentencepiece;

const sp::SentencePieceProcessor& processor(const void* model) {
  return *static_cast<const sp::SentencePieceProcessor*>(model);
}

void put(TextSink sink, const std::string& text) {
  sink.put(sink.context, text.data(), text.size());
}

// Runs `work`, which returns a status; turns failures and exceptions into a message.
template <typename Work>
bool guarded(TextSink error, Work work) {
  try {
    const sp::util::Status status = work();
    if (status.ok()) return true;
    put(error, status.error_message());
  } catch (const std::exception& exception) {
    put(error, exception.what());
  }
  return false;
}

void* open(const char* bytes, uint64_t size, TextSink error) {
  auto made = std::make_unique<sp::SentencePieceProcessor>();
  const bool ok = guarded(error, [&] { return made->LoadFromSerializedProto({bytes, size}); });
  return ok ? made.release() : nullptr;
}

void close(void* model) {
  delete static_cast<sp::SentencePieceProcessor*>(model);
}

int size(const void* model) {
  return processor(model).GetPieceSize();
}

int special(const void* model, int which) {
  const sp::SentencePieceProcessor& of = processor(model);
  switch (which) {
    case 0:
      return of.bos_id();
    case 1:
      return of.pad_id();
    case 2:
      return of.eos_id();
    default:
      return of.unk_id();
  }
}

bool ordinary(const void* model, int id) {
  const sp::SentencePieceProcessor& of = processor(model);
  return !of.IsControl(id) && !of.IsUnknown(id) && !of.IsUnused(id) && !of.IsByte(id);
}

void piece(const void* model, int id, TextSink text) {
  put(text, processor(model).IdToPiece(id));
}

bool encode(const void* model, const char* text, uint64_t size, IdSink sink, TextSink error) {
  std::vector<int> ids;
  const bool ok = guarded(error, [&] { return processor(model).Encode({text, size}, &ids); });
  if (ok) sink.put(sink.context, ids.data(), ids.size());
  return ok;
}

bool decode(const void* model, const int* ids, uint64_t count, TextSink sink, TextSink error) {
  std::string text;
  const bool ok =
      guarded(error, [&] { return processor(model).Decode(std::vector<int>(ids, ids + count), &text); });
  if (ok) put(sink, text);
  return ok;
}

class Lines final : public sp::SentenceIterator {
 public:
  explicit Lines(LineSource source) : source_(source) { Next(); }
  bool done() const override { return done_; }
  const std::string& value() const override { return line_; }
  sp::util::Status status() const override { return {}; }

  void Next() override {
    const char* bytes = nullptr;
    uint64_t size = 0;
    done_ = !source_.next(source_.context, &bytes, &size);
    if (!done_) line_.assign(bytes, size);
  }

 private:
  LineSource source_;
  std::string line_;
  bool done_ = false;
};

bool train(TrainerOptions options, LineSource source, TextSink model, TextSink error) {
  std::unordered_map<std::string, std::string> arguments;
  for (uint64_t i = 0; i < options.count; ++i) {
    arguments[options.options[i].name] = options.options[i].value;
  }
  std::string bytes;
  const bool ok = guarded(error, [&] {
    Lines lines(source);
    return sp::SentencePieceTrainer::Train(arguments, &lines, &bytes);
  });
  if (ok) put(model, bytes);
  return ok;
}

constexpr SubwordBackend kBackend = {open, close, size, special, ordinary, piece, encode, decode, train};

}  // namespace
}  // namespace megin::text

extern "C" __attribute__((visibility("default"))) const megin::text::SubwordBackend* megin_subword_backend() {
  return &megin::text::kBackend;
}
