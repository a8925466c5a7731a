// The work of benches/src/workload.rs in llama.cpp, by its C interface, to run beside ours. Commands come on
// stdin, as in serve.py. scripts/peers.sh builds it against the library that node-llama-cpp ships.
//
//     llamacpp LIBRARIES MODEL.gguf THREADS [f16|f32]
//
//     prefill      eight prompts of 256 tokens into a cache
//     decode B     B sequences, 64 tokens in and 128 sampled from the whole vocabulary
//     turns T      eight trajectories of T turns with a cache: a prompt of 64 tokens that they share, 16
//                  sampled a turn, 32 of observation between
//     greedy N     the N likeliest tokens after a fixed prompt, as a list
//     peak         the most memory that this process has held, in bytes
//
// Work is answered with its cost in seconds, {"wall": ..., "cpu": ...}. The last argument is the type of the
// cache. The cache is allocated before the clock starts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "llama.h"

enum { PROMPT = 64, NEW = 128, ROWS = 8, COLUMNS = 256, TURN = 16, OBSERVATION = 32, MOST = 256 };

static struct llama_model *model;
static int vocabulary, threads;
static enum ggml_type cache_type;

// Sequences that are sampled together. `held` counts tokens that were read or wait in `batch`. `scored` is
// the place in `batch` whose logits come next.
static struct {
    struct llama_context *context;
    struct llama_batch batch;
    struct llama_sampler *samplers[MOST];
    int count, room, held[MOST], scored[MOST];
} play;

static void fail(const char *what) {
    fprintf(stderr, "llamacpp: %s\n", what);
    exit(1);
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void errors_only(enum ggml_log_level level, const char *text, void *unused) {
    (void)unused;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static int any_token(void) { return rand() % vocabulary; }

// A context keeps its threads, as in llama.cpp's programs. The backend is loaded while the program runs, and
// the function that starts them with it.
static void keep_threads(struct llama_context *context) {
    static struct ggml_threadpool *pool;
    if (!pool) {
        ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
        if (!device) fail("no backend for the CPU");
        ggml_backend_reg_t backend = ggml_backend_dev_backend_reg(device);
        typedef struct ggml_threadpool *(*Start)(struct ggml_threadpool_params *);
        Start start = (Start)ggml_backend_reg_get_proc_address(backend, "ggml_threadpool_new");
        if (!start) fail("no threads in the backend for the CPU");
        struct ggml_threadpool_params settings = ggml_threadpool_params_default(threads);
        pool = start(&settings);
    }
    llama_attach_threadpool(context, pool, NULL);
}

// Empties the play, with `room` tokens for each of `count` sequences.
static void begin(int count, int room, int greedy) {
    if (count > MOST) fail("too many sequences");
    room = (room + 255) / 256 * 256;
    for (int row = 0; row < play.count; row++) llama_sampler_free(play.samplers[row]);
    if (count != play.count || room != play.room) {
        if (play.context) {
            llama_free(play.context);
            llama_batch_free(play.batch);
        }
        struct llama_context_params settings = llama_context_default_params();
        settings.n_ctx = (uint32_t)(count * room);
        settings.n_batch = settings.n_ctx;
        settings.n_seq_max = settings.n_outputs_max = (uint32_t)count;
        settings.n_threads = settings.n_threads_batch = threads;
        settings.type_k = settings.type_v = cache_type;
        play.context = llama_init_from_model(model, settings);
        if (!play.context) fail("no context");
        keep_threads(play.context);
        play.batch = llama_batch_init(count * room, 0, 1);
        play.count = count;
        play.room = room;
    }
    for (int row = 0; row < count; row++) {
        play.samplers[row] = greedy ? llama_sampler_init_greedy() : llama_sampler_init_dist((uint32_t)rand());
        play.held[row] = 0;
    }
    llama_memory_clear(llama_get_memory(play.context), 1);
    play.batch.n_tokens = 0;
}

// Queues a token after a sequence; the last one that is queued gets logits.
static void put(int row, int token, int is_last) {
    int at = play.batch.n_tokens++;
    play.batch.token[at] = token;
    play.batch.pos[at] = play.held[row]++;
    play.batch.n_seq_id[at] = 1;
    play.batch.seq_id[at][0] = row;
    play.batch.logits[at] = (int8_t)is_last;
    if (is_last) play.scored[row] = at;
}

static void put_any(int row, int length) {
    for (int at = 0; at < length; at++) put(row, any_token(), at + 1 == length);
}

static void forward(void) {
    if (llama_decode(play.context, play.batch)) fail("llama_decode refuses the batch");
    llama_synchronize(play.context);
    play.batch.n_tokens = 0;
}

// Samples `new` tokens after every sequence. The last one is queued without being read: text that follows
// may be read with it. Those of the first sequence go to `said`.
static void sample(int new, int has_logits, int *said) {
    for (int step = 0; step < new; step++) {
        if (step > 0 || !has_logits) forward();
        int tokens[MOST];
        for (int row = 0; row < play.count; row++)
            tokens[row] = llama_sampler_sample(play.samplers[row], play.context, play.scored[row]);
        for (int row = 0; row < play.count; row++) put(row, tokens[row], 1);
        if (said) said[step] = tokens[0];
    }
}

// Reads one prompt for all sequences.
static void share_prompt(void) {
    put_any(0, PROMPT);
    forward();
    for (int row = 1; row < play.count; row++) {
        llama_memory_seq_cp(llama_get_memory(play.context), 0, row, -1, -1);
        play.held[row] = play.held[0];
        play.scored[row] = play.scored[0];
    }
}

static void take_turns(int turns) {
    share_prompt();
    for (int turn = 0; turn < turns; turn++) {
        sample(TURN, turn == 0, NULL);
        for (int row = 0; row < play.count && turn + 1 < turns; row++) {
            play.batch.logits[play.scored[row]] = 0;
            put_any(row, OBSERVATION);
        }
    }
}

static void print_cost(double wall, double cpu) {
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("{\"wall\": %.6f, \"cpu\": %.6f}\n", wall, cpu);
}

static void work(const char *name, int number) {
    int is_prefill = !strcmp(name, "prefill"), is_decode = !strcmp(name, "decode");
    int sequences = is_decode ? number : ROWS;
    int room = is_prefill ? COLUMNS : is_decode ? PROMPT + NEW : PROMPT + number * (TURN + OBSERVATION);
    begin(sequences, room, 0);
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (is_prefill || is_decode) {
        for (int row = 0; row < sequences; row++) put_any(row, is_prefill ? COLUMNS : PROMPT);
        if (is_prefill) forward();
        else sample(NEW, 0, NULL);
    } else {
        take_turns(number);
    }
    print_cost(wall, cpu);
}

static void greedy(int new) {
    int *said = calloc((size_t)new, sizeof *said);
    begin(1, PROMPT + new, 1);
    for (int at = 0; at < PROMPT; at++) put(0, (100 + 37 * at) % vocabulary, at + 1 == PROMPT);
    sample(new, 0, said);
    for (int at = 0; at < new; at++) printf("%s%d", at ? ", " : "[", said[at]);
    puts("]");
    free(said);
}

static void print_peak(void) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %ld", &kib);
    if (status) fclose(status);
    printf("%ld\n", kib * 1024);
}

int main(int count, char **arguments) {
    if (count < 4) fail("usage: llamacpp LIBRARIES MODEL.gguf THREADS [f16|f32]");
    llama_log_set(errors_only, NULL);
    ggml_backend_load_all_from_path(arguments[1]);
    threads = atoi(arguments[3]);
    cache_type = count > 4 && !strcmp(arguments[4], "f32") ? GGML_TYPE_F32 : GGML_TYPE_F16;
    model = llama_model_load_from_file(arguments[2], llama_model_default_params());
    if (!model) fail("the model doesn't load");
    vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    char line[64], name[32];
    while (fgets(line, sizeof line, stdin)) {
        int number = 0, parts = sscanf(line, "%31s %d", name, &number);
        int has_number = parts == 2 && number > 0;
        if (parts == 1 && !strcmp(name, "peak")) print_peak();
        else if (has_number && !strcmp(name, "greedy")) greedy(number);
        else if (parts == 1 && !strcmp(name, "prefill")) work(name, 0);
        else if (has_number && (!strcmp(name, "decode") || !strcmp(name, "turns"))) work(name, number);
        else printf("\"unknown: %s\"\n", parts > 0 ? name : "");
        fflush(stdout);
    }
    return 0;
}
