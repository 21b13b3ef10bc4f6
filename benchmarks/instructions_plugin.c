/* Counts what an emulated program executes; a plugin of qemu-user (`-plugin libinstructions.so`). With an argument
   (`-plugin libinstructions.so,blocks=FILE`) it also writes how often each block ran: the address at which the
   program's code begins, then a line for each block of its first address, the bytes of its instructions and the times.
   Of the interface of docs/devel/tcg-plugins.rst it declares what it calls, as Debian ships no header of it. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *, uint64_t addend);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_start_code(void);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

enum { kAdd = 0 };
int qemu_plugin_version = 1;
static uint64_t executed;
static const char *blocks_file;

struct block {
  struct block *next;
  uint64_t first, bytes, times;
};
static struct block *blocks;

static void count_block(qemu_plugin_id_t id, struct qemu_plugin_tb *translated) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(translated);
  qemu_plugin_register_vcpu_tb_exec_inline(translated, kAdd, &executed, count);
  if (blocks_file == NULL) return;
  const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(translated, count - 1);
  struct block *block = calloc(1, sizeof *block);
  block->next = blocks;
  block->first = qemu_plugin_tb_vaddr(translated);
  block->bytes = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last) - block->first;
  blocks = block;
  qemu_plugin_register_vcpu_tb_exec_inline(translated, kAdd, &block->times, 1);
}

static void print_count(qemu_plugin_id_t id, void *data) {
  (void)id;
  (void)data;
  fprintf(stderr, "Collected : %" PRIu64 "\n", executed);
  FILE *out = blocks_file == NULL ? NULL : fopen(blocks_file, "w");
  if (out == NULL) return;
  fprintf(out, "%" PRIu64 "\n", qemu_plugin_start_code());
  for (const struct block *block = blocks; block != NULL; block = block->next) {
    fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", block->first, block->bytes, block->times);
  }
  fclose(out);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count, char **arguments) {
  (void)info;
  for (int i = 0; i < count; ++i) {
    if (strncmp(arguments[i], "blocks=", 7) == 0) blocks_file = strdup(arguments[i] + 7);
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, count_block);
  qemu_plugin_register_atexit_cb(id, print_count, NULL);
  return 0;
}
