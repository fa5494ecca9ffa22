#!/usr/bin/env python3
"""Writes a file of realistic prompts in the OpenAI Batch form: classification of support tickets,
extraction from orders, summaries of event logs. Lengths are skewed, as real ones are. The same
seed gives the same file. Each prompt's text carries a marker [[id:CUSTOM_ID]], by which
`spillway simulate` knows it."""
import argparse
import json
import random
import sys

FIRST = ("Amara Bo Chen Dita Elif Farid Greta Hugo Ines Jonas Kavya Lena Marek Nadia Omar Priya "
         "Quentin Rosa Sanjay Tove Uma Viktor Wanda Ximena Yusuf Zoe").split()
LAST = ("Adeyemi Brandt Castillo Dupont Eriksen Fischer Garcia Haddad Ivanova Jensen Kowalski Lund "
        "Moreau Novak Okafor Petrov Quinn Rossi Singh Tanaka Urban Vance Weber Yamada Zhang").split()
PRODUCTS = ("espresso grinder", "trail running shoes", "noise-cancelling headset", "standing desk",
            "water filter cartridge", "e-bike battery", "air quality sensor", "camping stove",
            "mechanical keyboard", "baby monitor", "robot mower blade set", "induction pan")
TROUBLE = ("arrived with a cracked housing", "stopped charging after two weeks",
           "was billed twice on the same card", "has not been delivered although tracking says so",
           "makes a rattling noise at low speed", "does not pair with the app any more",
           "was sent in the wrong colour", "is missing the power adapter")
WISH = ("Please send a replacement.", "I want my money back.", "Can someone call me today?",
        "How do I return it?", "A discount would settle this.", "Just tell me what went wrong.",
        "I have asked three times already!", "No hurry, but please look into it.")
LABELS = ("billing", "delivery", "defect", "how-to", "complaint", "other")
SERVICES = ("checkout", "search", "payments", "inventory", "login", "mailer", "ledger", "gateway")
EVENTS = ("latency above 800 ms for 4 minutes", "deployment of build {n} finished",
          "queue length grew to {n}", "replica lag of {n} ms, recovered by itself",
          "certificate renewed", "{n} requests answered with 503", "cache hit rate fell to 61%",
          "failover to the second zone", "disk at 91%, old logs removed", "rate limit of {n} raised")
STREETS = ("Harbour Road", "Mill Lane", "Station Street", "Oak Avenue", "Bridge Square")
CITIES = ("Bergen", "Porto", "Leeds", "Graz", "Lyon", "Gdansk", "Austin", "Osaka")


def person(rng):
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def day(rng):
    return f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def size(rng, median, sigma, most):
    """A skewed whole number: most are small, a few are large."""
    return max(1, min(most, round(rng.lognormvariate(0, sigma) * median)))


def classification(rng):
    mails = [f"My {rng.choice(PRODUCTS)} (order {rng.randint(10**6, 10**7)}, {day(rng)}) "
             f"{rng.choice(TROUBLE)}. {rng.choice(WISH)}" for _ in range(size(rng, 1, 0.6, 6))]
    return ("You sort support mail. Answer with one label only: " + ", ".join(LABELS) + ".",
            "From: " + person(rng) + "\n\n" + "\n".join(mails), rng.choice((8, 12, 16)))


def extraction(rng):
    items = []
    for _ in range(size(rng, 3, 0.7, 40)):
        count = rng.randint(1, 9)
        items.append(f"{count} x {rng.choice(PRODUCTS)}, {rng.randint(5, 400)}.{rng.randint(0, 99):02} EUR each")
    text = (f"Order {rng.randint(10**6, 10**7)} placed on {day(rng)} by {person(rng)}, "
            f"{rng.randint(1, 180)} {rng.choice(STREETS)}, {rng.choice(CITIES)}.\n"
            + "\n".join(items) + f"\nPlease deliver by {day(rng)}; invoice to {person(rng)}.")
    return ("Extract order number, date, buyer, address and items (name, count, price) as JSON. "
            "Use null for what is not stated.", text, 120 + 10 * min(len(items), 20))


def summary(rng):
    lines = [f"{day(rng)}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02}Z {rng.choice(SERVICES)}: "
             + rng.choice(EVENTS).format(n=rng.randint(12, 9000))
             for _ in range(size(rng, 18, 0.9, 400))]
    return ("Summarise this log for an engineer who was away: what happened, what is still open, "
            "in at most five sentences.", "\n".join(sorted(lines)), rng.choice((150, 200, 300)))


def prompt(rng, number, model):
    kind = rng.choices((classification, extraction, summary), (45, 35, 20))[0]
    custom_id = f"{kind.__name__}-{number:06}"
    system, user, max_tokens = kind(rng)
    body = {"model": model,
            "messages": [{"role": "system", "content": system},
                         {"role": "user", "content": f"[[id:{custom_id}]]\n{user}"}],
            "max_tokens": max_tokens}
    if rng.random() < 0.3:
        body["temperature"] = rng.choice((0, 0.2, 0.7))
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="mini", help="the logical model the prompts ask for")
    parser.add_argument("-o", "--output", help="file to write; default: standard output")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    out = open(args.output, "w", encoding="utf-8") if args.output else sys.stdout
    with out:
        for number in range(1, args.count + 1):
            out.write(json.dumps(prompt(rng, number, args.model), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
