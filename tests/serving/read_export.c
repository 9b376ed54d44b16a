/* read_export EXPORT REQUESTS ANSWERS [TIMES]: answers through the C API.
 * REQUESTS holds requests one after the other: the number of inputs, each a
 * name "op:index" and a tensor; then the number of outputs and their names.
 * ANSWERS takes the tensors of all outputs. A name is its length and its bytes;
 * a tensor is type, rank, dimensions, then its bytes, or of strings each as a
 * name. Every number is an int64. TIMES runs of the last request are timed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tensorflow/c/c_api.h"

static TF_Status* status;
static FILE *requests, *answers;
static void check(int good, const char* what) {
  if (!good) fprintf(stderr, "%s: %s\n", what, TF_Message(status)), exit(1);
}
static int64_t number(void) {
  int64_t value;
  return fread(&value, sizeof value, 1, requests) == 1 ? value : -1;
}
static char* text(int64_t* length) {
  char* found = calloc((*length = number()) + 1, 1);
  return fread(found, 1, *length, requests), found;
}
static TF_Output named(TF_Graph* graph) {
  int64_t length;
  char *name = text(&length), *colon = strrchr(name, ':');
  *colon = 0;
  TF_Output found = {TF_GraphOperationByName(graph, name), atoi(colon + 1)};
  return check(found.oper != NULL, name), found;
}
static TF_Tensor* read_tensor(void) {
  TF_DataType type = number();
  int64_t dims[8], rank = number(), count = 1, length;
  for (int i = 0; i < rank; i++) count *= dims[i] = number();
  size_t size = type == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize(type);
  TF_Tensor* tensor = TF_AllocateTensor(type, dims, rank, count * size);
  char* data = TF_TensorData(tensor);
  if (type != TF_STRING)
    check(fread(data, size, count, requests) == (size_t)count, "tensor");
  for (int64_t i = 0; type == TF_STRING && i < count; i++) {
    char* value = text(&length);
    TF_StringInit((TF_TString*)data + i);
    TF_StringCopy((TF_TString*)data + i, value, length);
    free(value);
  }
  return tensor;
}
static void put(int64_t value) { fwrite(&value, sizeof value, 1, answers); }
static void write_tensor(TF_Tensor* tensor) {
  put(TF_TensorType(tensor));
  put(TF_NumDims(tensor));
  for (int i = 0; i < TF_NumDims(tensor); i++) put(TF_Dim(tensor, i));
  char* data = TF_TensorData(tensor);
  if (TF_TensorType(tensor) != TF_STRING)
    fwrite(data, 1, TF_TensorByteSize(tensor), answers);
  else
    for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++) {
      const TF_TString* s = (TF_TString*)data + i;
      put(TF_StringGetSize(s));
      fwrite(TF_StringGetDataPointer(s), 1, TF_StringGetSize(s), answers);
    }
}
static double now(void) {
  struct timespec t;
  return clock_gettime(CLOCK_MONOTONIC, &t), 1e6 * t.tv_sec + t.tv_nsec / 1e3;
}
int main(int argc, char** argv) {
  const char* tags[] = {"serve"};
  TF_Output in[256], out[256];
  TF_Tensor *fed[256], *got[256];
  TF_Graph* graph = TF_NewGraph();
  status = TF_NewStatus();
  double start = now();
  TF_Session* session = TF_LoadSessionFromSavedModel(
      TF_NewSessionOptions(), NULL, argv[1], tags, 1, graph, NULL, status);
  check(TF_GetCode(status) == TF_OK, argv[1]);
  printf("load %.1f\n", now() - start);
  requests = fopen(argv[2], "rb"), answers = fopen(argv[3], "wb");
  for (int64_t inputs; (inputs = number()) >= 0;) {
    for (int i = 0; i < inputs; i++)
      in[i] = named(graph), fed[i] = read_tensor();
    int64_t outputs = number(), times = argc > 4 ? atoll(argv[4]) : 1;
    for (int i = 0; i < outputs; i++) out[i] = named(graph);
    for (int64_t t = 0; t < times; t++) {
      start = now();
      TF_SessionRun(session, NULL, in, fed, inputs, out, got, outputs, NULL, 0,
                    NULL, status);
      check(TF_GetCode(status) == TF_OK, "run");
      if (argc > 4) printf("run %.3f\n", now() - start);
      for (int i = 0; i < outputs; i++) {
        if (t == times - 1) write_tensor(got[i]);
        TF_DeleteTensor(got[i]);
      }
    }
  }
  return fclose(answers);
}
