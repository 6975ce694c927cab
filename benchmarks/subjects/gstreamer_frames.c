/* GStreamer in the same harness as measuring.py: appsrc, some elements, fakesink; JSON out.

   gcc -O2 gstreamer_frames.c -o gstreamer_frames \
       $(pkg-config --cflags --libs gstreamer-1.0 gstreamer-app-1.0) -lpthread
   ./gstreamer_frames direct|queued cost FRAMES REPEATS STAGES...
   ./gstreamer_frames direct|queued latency SECONDS STAGES
   ./gstreamer_frames direct|queued density SECONDS STAGES PIPELINES...
   ./gstreamer_frames direct|queued memory PIPELINES STAGES

   direct: identity elements, one calls the next. queued: a queue, and with it a thread, before each. */
#define _GNU_SOURCE
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PERIOD_S 0.02
#define BYTES 1920
#define WARM_FRAMES 100
#define FED "appsrc name=source format=time block=false max-bytes=0"
#define PACED "audiotestsrc name=source is-live=true wave=silence samplesperbuffer=960"

typedef struct {
    GstElement *pipeline, *source;
    sem_t came;
    atomic_long frames;
    double *given, *took; /* of each frame, where latency is measured (s) */
} Engine;

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static void sleep_until(double due) {
    struct timespec at = {(time_t)due, (long)((due - (time_t)due) * 1e9)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static GstPadProbeReturn told(GstPad *pad, GstPadProbeInfo *info, gpointer user) {
    Engine *engine = user;
    long index = atomic_fetch_add(&engine->frames, 1);
    if (engine->took)
        engine->took[index] = seconds(CLOCK_MONOTONIC) - engine->given[index];
    else
        sem_post(&engine->came);
    return GST_PAD_PROBE_OK;
}

static Engine *start(const char *kind, int stages, const char *source) {
    Engine *engine = calloc(1, sizeof *engine);
    GString *text = g_string_new(source);
    g_string_append(text, " ! audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved");
    for (int i = 0; i < stages; i++) {
        if (!strcmp(kind, "queued"))
            g_string_append(text, " ! queue max-size-buffers=8 max-size-bytes=0 max-size-time=0");
        g_string_append(text, " ! identity");
    }
    g_string_append(text, " ! fakesink name=sink sync=false async=false");
    GError *error = NULL;
    engine->pipeline = gst_parse_launch(text->str, &error);
    if (error) {
        fprintf(stderr, "%s\n", error->message);
        exit(1);
    }
    g_string_free(text, TRUE);
    engine->source = gst_bin_get_by_name(GST_BIN(engine->pipeline), "source");
    sem_init(&engine->came, 0, 0);
    GstElement *sink = gst_bin_get_by_name(GST_BIN(engine->pipeline), "sink");
    GstPad *pad = gst_element_get_static_pad(sink, "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, told, engine, NULL);
    gst_object_unref(pad);
    gst_object_unref(sink);
    gst_element_set_state(engine->pipeline, GST_STATE_PLAYING);
    return engine;
}

static void stop(Engine *engine) {
    gst_element_set_state(engine->pipeline, GST_STATE_NULL);
    gst_object_unref(engine->source);
    gst_object_unref(engine->pipeline);
    free(engine);
}

static GstBuffer *frame(long index) {
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, BYTES, NULL);
    gst_buffer_memset(buffer, 0, 0, BYTES);
    GST_BUFFER_PTS(buffer) = index * 20000000ull;
    GST_BUFFER_DURATION(buffer) = 20000000ull;
    return buffer;
}

static void feed(Engine *engine, GstBuffer *buffer) {
    gst_app_src_push_buffer(GST_APP_SRC(engine->source), buffer);
}

static double lockstep_us(const char *kind, int stages, int frames) {
    Engine *engine = start(kind, stages, FED);
    double spent = 0;
    long index = 0;
    for (int pass = 0; pass < 2; pass++) {
        int count = pass ? frames : WARM_FRAMES;
        GstBuffer **made = malloc(sizeof *made * count);
        for (int i = 0; i < count; i++) made[i] = frame(index++);
        double began = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (int i = 0; i < count; i++) {
            feed(engine, made[i]);
            sem_wait(&engine->came);
        }
        spent = seconds(CLOCK_PROCESS_CPUTIME_ID) - began;
        free(made);
    }
    stop(engine);
    return spent / frames * 1e6;
}

static void cost(const char *kind, int frames, int repeats, int points, char **stages) {
    double x[32], y[32], each[32], mean_x = 0, mean_y = 0, above = 0, below = 0;
    if (points > 32 || repeats > 32) exit(2);
    printf("{");
    for (int p = 0; p < points; p++) {
        x[p] = atoi(stages[p]);
        for (int r = 0; r < repeats; r++) each[r] = lockstep_us(kind, (int)x[p], frames);
        qsort(each, repeats, sizeof *each, ascending);
        y[p] = each[repeats / 2];
        mean_x += x[p] / points;
        mean_y += y[p] / points;
        printf("%s\"%d stages µs\": %.3f", p ? ", " : "", (int)x[p], y[p]);
    }
    for (int p = 0; p < points; p++) {
        above += (x[p] - mean_x) * (y[p] - mean_y);
        below += (x[p] - mean_x) * (x[p] - mean_x);
    }
    if (points > 1) printf(", \"a stage µs\": %.4f", above / below);
    printf("}\n");
}

static void latency(const char *kind, double length, int stages) {
    int warm = 1 / PERIOD_S, count = warm + length / PERIOD_S;
    Engine *engine = start(kind, stages, FED);
    engine->given = calloc(count, sizeof(double));
    engine->took = calloc(count, sizeof(double));
    double begin = seconds(CLOCK_MONOTONIC) + 0.1;
    for (int i = 0; i < count; i++) {
        sleep_until(begin + i * PERIOD_S);
        GstBuffer *buffer = frame(i);
        engine->given[i] = seconds(CLOCK_MONOTONIC);
        feed(engine, buffer);
    }
    g_usleep(200000);
    double *taken = engine->took + warm;
    int size = count - warm;
    qsort(taken, size, sizeof *taken, ascending);
    printf("{\"p50 µs\": %.1f, \"p99 µs\": %.1f}\n", taken[size / 2] * 1e6,
           taken[size * 99 / 100] * 1e6);
}

static void density(const char *kind, double length, int stages, int points, char **pipelines) {
    printf("{");
    for (int p = 0; p < points; p++) {
        int count = atoi(pipelines[p]);
        Engine **engines = malloc(sizeof *engines * count);
        for (int i = 0; i < count; i++) {
            engines[i] = start(kind, stages, PACED);
            g_usleep(count < 60 ? 20000 / count : 300);
        }
        g_usleep(500000);
        long before = 0, after = 0;
        for (int i = 0; i < count; i++) before += engines[i]->frames;
        double spent = seconds(CLOCK_PROCESS_CPUTIME_ID), clock = seconds(CLOCK_MONOTONIC);
        g_usleep(length * 1e6);
        spent = seconds(CLOCK_PROCESS_CPUTIME_ID) - spent;
        clock = seconds(CLOCK_MONOTONIC) - clock;
        for (int i = 0; i < count; i++) after += engines[i]->frames;
        double frames = after - before;
        printf("%s\"%d pipelines ms\": %.4f, \"%d pipelines in time %%\": %.2f", p ? ", " : "",
               count, spent / frames / PERIOD_S * 1e3, count,
               frames / (clock / PERIOD_S * count) * 100);
        fflush(stdout);
        for (int i = 0; i < count; i++) stop(engines[i]);
        free(engines);
    }
    printf("}\n");
}

static long private_kb(void) {
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    long kb = 0, part;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %ld", &part) == 1 ||
            sscanf(line, "Private_Clean: %ld", &part) == 1)
            kb += part;
    fclose(file);
    return kb;
}

static void memory(const char *kind, int pipelines, int stages) {
    long before = 0;
    for (int made = 0; made <= pipelines; made++) {
        Engine *engine = start(kind, stages, FED);
        for (int i = 0; i < 5; i++) feed(engine, frame(i));
        if (!made) {
            g_usleep(200000);
            before = private_kb();
        }
    }
    g_usleep(200000);
    printf("{\"kB\": %.1f}\n", (double)(private_kb() - before) / pipelines);
}

int main(int count, char **words) {
    gst_init(&count, &words);
    if (count < 5) return 2;
    const char *kind = words[1], *mode = words[2];
    if (!strcmp(mode, "cost") && count > 5)
        cost(kind, atoi(words[3]), atoi(words[4]), count - 5, words + 5);
    else if (!strcmp(mode, "latency"))
        latency(kind, atof(words[3]), atoi(words[4]));
    else if (!strcmp(mode, "density"))
        density(kind, atof(words[3]), atoi(words[4]), count - 5, words + 5);
    else if (!strcmp(mode, "memory"))
        memory(kind, atoi(words[3]), atoi(words[4]));
    else
        return 2;
    return 0;
}
