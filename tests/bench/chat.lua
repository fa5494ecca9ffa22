-- wrk: the same short chat call that the run sends.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"model":"bench","max_tokens":16,"messages":[{"role":"user","content":"[[id:wrk]] Is this order late? Answer yes or no."}]}'
