// SentencePiece behind a table of C functions. It exists because of one fault: Debian's libsentencepiece
// exports the symbols of the protobuf 3.14 that is built into it, and in one program with libtorch, which
// brings protobuf 3.21, the two mix and the program dies at start. So where libtorch is linked, the table
// comes from a plugin of ours that is opened with its symbols bound to itself (subword_plugin.cpp);
// elsewhere, and under AddressSanitizer, which refuses such opening, it is linked plainly
// (subword_linked.cpp). CMake chooses.
//
// Only C types pass, and no exception: a function that fails puts a message and returns false. Everything is
// safe from any thread; a model is const after open().
#pragma once

#include <cstdint>

namespace megin::text {

// Takes bytes that live only during the call.
struct TextSink {
  void* context;
  void (*put)(void* context, const char* bytes, uint64_t size);
};

struct IdSink {
  void* context;
  void (*put)(void* context, const int* ids, uint64_t count);
};

// Gives the next sentence, or false at the end; the bytes live until the next call.
struct LineSource {
  void* context;
  bool (*next)(void* context, const char** bytes, uint64_t* size);
};

// One option of SentencePiece's trainer, by its own name.
struct TrainerOption {
  const char* name;
  const char* value;
};

struct TrainerOptions {
  const TrainerOption* options;
  uint64_t count;
};

struct SubwordBackend {
  // A model from the bytes of its file; null, with a message, when they are none.
  void* (*open)(const char* bytes, uint64_t size, TextSink error);
  void (*close)(void* model);

  // In the numbering of the model itself.
  int (*size)(const void* model);
  int (*special)(const void* model, int which);  // model's id of vocabulary.h's 0 to 3; -1: it has none
  bool (*ordinary)(const void* model, int id);   // neither control, unknown, unused nor byte symbol
  void (*piece)(const void* model, int id, TextSink text);
  bool (*encode)(const void* model, const char* text, uint64_t size, IdSink ids, TextSink error);
  bool (*decode)(const void* model, const int* ids, uint64_t count, TextSink text, TextSink error);

  // Puts the bytes of the trained model into `model`.
  bool (*train)(TrainerOptions options, LineSource lines, TextSink model, TextSink error);
};

// The table, opened on first use. Throws Error, with the places it looked in, when the plugin is not there.
const SubwordBackend& subword_backend();

}  // namespace megin::text

// What the plugin exports.
extern "C" const megin::text::SubwordBackend* megin_subword_backend();
