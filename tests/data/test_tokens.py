"""Token ids of tokenizers built here, saved and loaded as a user's are."""

import json

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from neuronull.data.corpora import load_corpus
from neuronull.data.errors import InputError
from neuronull.data.tokens import Encoder, token_ids, unknown_ids

WORDS = {"the": 0, "old": 1, "river": 2, "[UNK]": 3, "<|end|>": 4}


def words(unknown="[UNK]"):
    tokenizer = Tokenizer(models.WordLevel(dict(WORDS), unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def loaded(backend, folder, **named):
    PreTrainedTokenizerFast(tokenizer_object=backend, **named).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def letters(alphabet, unknown=None, normalizer=None):
    """A character tokenizer, without a token for any other character."""
    backend = Tokenizer(models.WordLevel({letter: i for i, letter in enumerate(alphabet)}, unk_token=unknown))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    if normalizer:
        backend.normalizer = normalizer
    return backend


def test_every_token_that_is_marked_special_is_found(tmp_path):
    """Named, marked in either file, put around texts, unknown; and none that is plain."""
    backend = words()
    backend.add_special_tokens([AddedToken("<|end|>", special=True), AddedToken("<|eot_id|>", special=True)])
    backend.add_tokens([AddedToken("<tool>"), AddedToken("<|reserved|>"), AddedToken("[CLS]")])
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 8)])
    loaded(backend, tmp_path, eos_token="<|end|>")
    file = tmp_path / "tokenizer_config.json"
    flags = dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False)
    reserved = {"7": {"content": "<|reserved|>", "special": True} | flags}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"added_tokens_decoder": reserved}))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    found = token_ids(tokenizer)
    assert tokenizer.convert_tokens_to_ids(["<|eot_id|>", "<tool>", "<|reserved|>", "[CLS]"]) == [5, 6, 7, 8]
    assert set(tokenizer.all_special_ids) == {4}  # what the library names is not enough
    assert found.special == {3, 4, 5, 7, 8}
    assert unknown_ids(tokenizer) == {3}
    assert (found.base, found.size) == (5, 9)  # <|end|> is in the vocabulary too
    assert found.added[6] == "<tool>"


def test_the_unknown_token_that_only_the_model_names(tmp_path):
    assert unknown_ids(loaded(words(), tmp_path)) == {3}
    unigram = Tokenizer(models.Unigram([("a", -1.0), ("?", -9.0), ("b", -1.0)], unk_id=1))
    assert token_ids(PreTrainedTokenizerFast(tokenizer_object=unigram)).special == {1}


def test_an_unknown_token_that_also_ends_texts_is_no_sign_of_unknown_text(tmp_path):
    """GPT-2 knows every byte and calls its end of text unknown."""
    tokenizer = loaded(words("<|end|>"), tmp_path, eos_token="<|end|>", unk_token="<|end|>")
    assert (token_ids(tokenizer).special, unknown_ids(tokenizer)) == ({4}, frozenset())


def test_gaps_in_the_ids_are_counted(tmp_path):
    backend = Tokenizer(models.WordLevel({"a": 0, "b": 9}))
    assert token_ids(PreTrainedTokenizerFast(tokenizer_object=backend)).size == 10


@pytest.mark.parametrize("around", [False, True])
def test_a_character_tokenizer_is_probed_with_its_own_letters(tmp_path, around):
    backend = letters("ACGT[]")
    if around:
        backend.post_processor = processors.TemplateProcessing(single="[ $A ]", special_tokens=[("[", 4), ("]", 5)])
    tokenizer = loaded(backend, tmp_path)
    genes = ["ACGT" * 10 + "A" * n for n in range(20)]
    file = tmp_path / "genes.json"
    file.write_text(json.dumps(genes))
    rows = load_corpus(str(file), tokenizer, 20, 64).documents["input_ids"].tolist()
    assert rows == [tokenizer(gene)["input_ids"] for gene in genes]
    assert rows[0][:2] == ([4, 0] if around else [0, 1])


def test_text_outside_the_alphabet_is_one_clear_line(tmp_path):
    tokenizer = loaded(letters("ACGT"), tmp_path)
    with pytest.raises(InputError, match=r"the tokenizer cannot encode the text: .*\(--corpus\); give text that is"):
        Encoder(tokenizer, 16).plain("hello")


def test_a_tokenizer_that_encodes_nothing_says_so(tmp_path):
    backend = letters("ACGT", normalizer=normalizers.Replace(Regex("."), ""))
    with pytest.raises(InputError, match="the tokenizer encodes none of the tokens of its own vocabulary"):
        Encoder(loaded(backend, tmp_path), 16)


def test_special_tokens_inside_a_text_are_refused():
    def between(text, add_special_tokens=True, **options):
        ids = [len(word) for word in text.split()]
        return {"input_ids": [99, *ids[:1], 99, *ids[1:]] if add_special_tokens else ids}

    with pytest.raises(InputError, match="does not put special tokens before and after a text only"):
        Encoder(between, 16)
