-- Rows of what came before there were mails.
UPDATE users SET tokens_valid_after = now() - interval '1 day' WHERE id = 1;
UPDATE listings SET fuel = 'diesel', doors = 5 WHERE id = 1;
INSERT INTO repeatable_requests (user_id, key, fingerprint, status, answer) VALUES (1, 'key', 'print', 201, '{}');
INSERT INTO saved_searches (user_id, name, query, words_at) VALUES (2, 'Golfs', '{"q": "golf"}', now());
INSERT INTO told_matches (search_id, listing_id, price) VALUES (1, 1, 9500);
INSERT INTO favourites (user_id, listing_id, title, price, is_sold) VALUES (2, 1, 'A blue Golf', 9500, false);
INSERT INTO alerts (user_id, kind, listing_id, search_id, price) VALUES (2, 'match', 1, 1, 9500);
INSERT INTO alerts (user_id, kind, listing_id, reply_id) VALUES (1, 'reply', 1, 1);
