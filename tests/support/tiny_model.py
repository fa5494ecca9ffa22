"""A tiny language model for a real engine: a llama of some 0.3 MB whose weights are seeded noise, so
that it takes real prompts through a real tokenizer and real attention and answers nonsense.

    VENV/bin/python tiny_model.py OUT.gguf        needs gguf and tokenizers
"""

import json
import sys

import gguf
import numpy
import tokenizers

WIDTH, LAYERS, INNER, HEADS = 64, 2, 96, 4
CONTEXT = 4096
VOCABULARY = 768
SPECIAL = ["<end>", "<turn>", "<done>"]  # token ids 0, 1 and 2
SEED = 20
TEMPLATE = (
    "{% for m in messages %}<turn>{{ m['role'] }}\n{{ m['content'] }}<done>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)
# What the tokenizer learns its merges from: the words that arithmetic questions are made of.
TEXTS = [
    "How many apples does she have left if she sells half of the rest on Monday?",
    "A train travels 60 miles per hour for 3 hours and then 45 miles per hour for 2 hours.",
    "There are 12 students in each of the classes; the total price of their tickets is $144.",
    "He buys twice as many pencils as notebooks, each notebook costs 2 dollars more than a pencil.",
    "Answer with a number. What is the total number of days it takes to finish the work?",
]


def tokenizer():
    learned = tokenizers.Tokenizer(tokenizers.models.BPE())
    learned.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL,
                                             initial_alphabet=sorted(alphabet), min_frequency=1,
                                             show_progress=False)
    learned.train_from_iterator(TEXTS, trainer)
    return learned


def vocabulary(learned):
    """The tokens by id, and the merges as "left right" in the order they apply."""
    model = json.loads(learned.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    return tokens, merges


def describe(writer, tokens, merges):
    writer.add_name("seeded noise")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    kinds = gguf.TokenType
    writer.add_token_types([kinds.CONTROL if t in SPECIAL else kinds.NORMAL for t in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def add_weights(writer, token_count):
    chance = numpy.random.default_rng(SEED)

    def noise(name, rows, columns):
        values = chance.normal(scale=0.4 * columns**-0.5, size=(rows, columns))
        writer.add_tensor(name + ".weight", values.astype(numpy.float16))

    def ones(name):
        writer.add_tensor(name + ".weight", numpy.ones(WIDTH, numpy.float32))

    noise("token_embd", token_count, WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        ones(block + "attn_norm")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            noise(block + part, WIDTH, WIDTH)
        ones(block + "ffn_norm")
        noise(block + "ffn_gate", INNER, WIDTH)
        noise(block + "ffn_up", INNER, WIDTH)
        noise(block + "ffn_down", WIDTH, INNER)
    ones("output_norm")


def write(path):
    tokens, merges = vocabulary(tokenizer())
    writer = gguf.GGUFWriter(path, "llama")
    describe(writer, tokens, merges)
    add_weights(writer, len(tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(sys.argv[1])
