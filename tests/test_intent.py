"""What a question asks for: every kind in the words people use, and the traps that only look like one."""

import json

import pytest

from pipeline.chat.followup import resolve
from pipeline.chat.intent import KINDS, Intent, ask, parse, read
from pipeline.types import Evidence, Turn

WHOLE = """
Briefly summarise the lecture in 100 words
What did the group talk about in the meeting?
What is this video about?
What's this about?
what is the talk about
What was the meeting about?
Can you tell me what this lecture is about?
What is this whole recording all about?
Hi! What is the tutorial about, please?
Summarise
Summarize the whole meeting.
Summarise this video in three sentences
Could you please summarise the presentation for me?
summary please
Give me a short summary of the talk.
Give me an overview
I'd like an overview of this course
What are the main points?
What are the key takeaways from this webinar?
key takeaways
List the main ideas of the lecture
What were the main discussion points of the meeting?
What was the general discussion of the meeting?
List the steps
List all the steps shown in the video.
What are the steps shown?
What are the steps in this tutorial?
What topics are covered?
Which topics does the speaker cover in this talk?
What topics do they discuss in the episode?
outline
Make an outline of the lecture
chapters
List the chapters
tl;dr
TLDR?
Walk me through the whole video
Can you walk me through the steps?
Explain the video in simple terms
Describe the film
Tell me about this video
What happens in the film?
What did they discuss in the meeting?
What can I learn from this video?
What does the video teach?
What is the purpose of this demo?
What kind of video is this?
What is the gist of the podcast?
What are the highlights of the keynote?
Give me the three most important points he makes
Recap the meeting in five bullet points
What is the screencast about?
whats this video about
What's the video about in one sentence?
In short, what is this talk about?
I have no time, give me a summary
Can I get a quick recap of the meeting?
what did they talk about in this meeting
What do they talk about?
What are the topics of the lecture?
What were the most important takeaways?
what should I take away from this talk?
bullet point summary of the video please
Please write a detailed summary of this lecture with timestamps
break the video into chapters
What is the main message of the film?
How is the talk structured?
What is the structure of this lecture?
Give me a table of contents
What steps are shown in the video?
what are all the steps he takes?
what is covered in this course
Which subjects are discussed in the podcast?
Describe what happens in the video
Explain what this video is about
Summarize everything
Sum it up for me
what is this documentary about?
Tell me the story of the film
what do I learn in this tutorial?
What is the point of this video?
What's the gist?
could you outline the talk for me
what is being discussed in this meeting?
What is discussed in this podcast?
What does this guy talk about in the video?
Main ideas?
tell me the main points in the video
Provide a brief summary of the lecture.
Please summarize.
summarize the video for a beginner
What are the most important things said in the talk?
I haven't watched it, what is this video about?
what would I learn from this tutorial?
list everything covered in this lecture
What are the contents of this video?
which steps does the tutorial show?
give me all steps of the tutorial
Make a list of the steps
what is the recording about?
what are the five most important takeaways
"""

NOW = """
What is this?
Who is that?
What is on the screen?
What's on screen right now?
What is on the screen now?
What did she just say?
What did he just do?
What has he just said about dropout?
What just happened?
What's happening here?
What is going on here?
What is he doing right now?
Why is she laughing now?
Explain this slide
Can you explain this diagram to me?
What does this slide say?
What is this slide about?
What does this mean?
Repeat that
Could you repeat that please?
What am I looking at?
Who is this person?
What kind of bird is this?
What does this graph show?
What kind of birds are in this picture?
How many people are in this picture?
Describe what you see on the screen
What do we see here?
Read the text on this slide
Who is speaking?
Why did he do that?
What is shown at the moment?
what's that on the screen?
What is that thing called?
What did they say just now?
what was that
what did he mean by that?
Who's talking right now?
what tool is she using right now?
what is she holding?
What does it say on the slide right now?
what's the name of this bird?
explain what is happening on screen
What is written here?
what am I seeing here
Can you say that again?
I didn't get that, what did she just say?
what city is this?
Translate this slide
What is he pointing at?
what does this formula mean?
describe the current frame
what is in this picture?
where are they now?
What's this thing?
what is she doing?
who is the person on screen?
what was just shown?
what do you see?
what is happening at this moment?
what's he saying here?
What is on this slide?
where is this?
what does that mean?
what animal is this?
what did they just show?
what does the current slide say?
what is shown in this picture?
explain what he just said
can you explain what's on the screen?
what colour is this?
"""

AFTER = """
What comes after the demo of CLIP? | the demo of CLIP
what does he do right after he opens the box? | he opens the box
What happens after the training of the encoder? | the training of the encoder
What happens in the film after the car crash? | the car crash
What is shown directly after the title card? | the title card
What does she talk about after the break? | the break
What did the Prime Minister say after the vote? | the vote
After the demo, what does the speaker explain? | the demo
Which slide comes after the pyramid diagram? | the pyramid diagram
Who speaks after Kirsty Williams? | Kirsty Williams
And what comes next after the introduction of attention? | the introduction of attention
What do we see just after the explosion? | the explosion
What follows the installation of Python in the video? | the installation of Python
Go to the part right after the interview | the interview
"""

BEFORE = """
what happened before the explosion? | the explosion
What is shown just before the credits? | the credits
What does she say before she introduces CLIP? | she introduces CLIP
What was discussed before the break? | the break
Which topic comes before backpropagation? | backpropagation
Right before the goal, what does the player do? | the goal
What is he doing before he drops the plate? | he drops the plate
"""

FIRST = """
show me where she first explains backprop | backprop
When is dropout first mentioned? | dropout
When is the learning rate first mentioned in the talk? | the learning rate
the first time that he says attention | attention
Where does she first talk about Milvus? | Milvus
When did they start talking about childcare? | childcare
At what point does he first mention the Aurora task? | the Aurora task
When do we see the dog for the first time? | the dog
Show me the first time the robot falls | the robot falls
Where is the first mention of CLIP? | CLIP
When does the cat first appear? | the cat
What is the first thing he says about tokenizers? | tokenizers
Who first brings up the budget? | the budget
When does he first use the hammer? | use the hammer
When does she first mention it? | it
"""

LAST = """
where does she last talk about Zipf? | Zipf
When is the budget last mentioned? | the budget
The last time he mentions BERT? | BERT
When do we last see the red car? | the red car
What is the last thing she says about dropout? | dropout
At the end does he mention the licence again? | the licence
When do they stop talking about the prototype? | the prototype
"""

EVERY = """
every place where the loss is mentioned | the loss
Show me every place where gradient clipping is explained | gradient clipping
all the times he mentions overfitting | overfitting
List all occurrences of the word transformer | transformer
Find all mentions of the Prime Minister in the meeting | the Prime Minister
Give me all the timestamps where the dog appears | the dog
Show me every time she says thank you | thank you
Which slides mention CLIP? | CLIP
Which parts of the video talk about pricing? | pricing
In which scenes does the detective appear? | the detective
List everything she says about data augmentation | data augmentation
Jump to all scenes with the helicopter | the helicopter
At which moments is the logo shown? | the logo
"""

COUNT = """
how often does he use the word "literally"? | "literally"
How many times does she say attention? | attention
How often is CLIP mentioned? | CLIP
how many times is the word token used in the talk | token
How often does he mention the budget in this meeting? | the budget
How many times does the man fall off the bike? | fall off the bike
Count the mentions of Milvus | Milvus
How many times do we see the red car? | the red car
Count how often she says basically | basically
How many times? | How many times
"""

LOCAL = """
why did the first attempt fail?
which steps are needed before deployment?
what topics are in the exam?
Who has the last word on the budget?
What threshold did they use?
What does she say about dropout?
Summarise what she says about dropout
What is the paper about CLIP about?
list the three reasons he gives for weight decay
Summarize the discussion about hourly rates of the service.
Summarize the presentation on functional requirements.
What is Marketing's presentation mainly about?
What are the steps for moving this building to the right side?
what are the steps to choose all layers at the same time?
Summarise the first part
Give me an overview of attention mechanisms
What is the main idea of dropout?
Explain the difference between BERT and GPT
Who is the speaker?
How long is the video?
What is the title of this talk?
What is a video codec?
What topics did Hinton work on before 2006?
what should i do before going into post production?
before going into post production what should you do?
What must be done before training?
How do I save the file before exporting?
how can i remove unwanted filters before i save?
after i change the size of a shape how do i get it to stay?
how to close the window after you've saved it
What was the accuracy before fine-tuning?
how do i see a before and after version of a smart layer i recently edited?
Which company presented the slides with the 2019 figures?
What happened to the loss after normalisation was removed?
What would happen after the demo?
What happens before and after the reaction?
What comes after that?
and then?
What happens after this?
What did he say before that?
What is shown after 5 minutes?
What is the first step?
What is the first step to creating a composite?
When was CLIP first released?
When was the telephone first invented?
Who was the first person on the moon?
What was the last version they tested?
How does a transformer block end?
How do I start the server?
how to start a recorded operation?
What is the last layer of the network?
Why is the first layer frozen?
how many layers does it have?
How many people attended?
How often should I save my work?
How many times larger is the model?
How many times has Brazil won the cup?
which tool will i use most often to create text?
where is X mentioned?
Does he mention batch size?
how do i move all the layers at once?
can all the artboards in a file be exported or saved individually?
finding all layers with text quickly.
how do i open all panels?
List all parts of the engine
Why must the gradients be zeroed every time?
Every time I open the file it crashes, why?
what are all the tools in the panel called?
What is the company worth right now?
what is the best font to use here?
where is the open image tool on the screen?
how do i select a layer on the screen?
how is this image viewed?
i want to make this image smaller, what do i do?
how do i do this?
is this possible?
Why is that?
Why?
Is this method better than SGD?
What does this have to do with entropy?
will i need to use the same values that i have in the video?
Where in the video is the encoder explained?
What do the authors say in the video about the licence?
What happens if the batch is small?
When does the war start?
Who said that attention is all you need?
What is just-in-time compilation?
Is there an overview of the parameters?
What did the team discuss about the product cost?
Was sagt sie über Dropout?
What is the conclusion of the talk?
what happens once the demo is over?
What is the talk by Hinton cited in the intro about?
what's the best way to summarise a text with BERT?
How do you make an outline in Word?
how does the encoder summarise the sentence?
What are the key points of the contract he signs?
what chapters of the book does he recommend?
what are the main parts of the transformer architecture?
which topics does the LDA model find?
What happens when you press escape?
what happens if the file is missing?
what is shown in figure 3?
What comes out of the encoder?
what does the first slide say about loss functions?
what should we do after the model has been trained?
what do you do after the dough has risen?
why do we normalise before the activation?
is batch norm before or after relu?
who was president before Obama?
How long after the surgery can he walk?
What was the weather like before the storm?
When did he first meet his wife?
when was python first released?
who was the first woman to win the Nobel prize?
what is the last digit of pi he knows?
What is the first argument of the function?
how many times do you fold the paper?
how often does the cron job run?
how often do they retrain the model?
how many occurrences does the regex find?
list all files in the folder
how do I list all the containers?
what does every layer compute?
what are all the ingredients?
list the ingredients
what is on the table?
who is the man in the red shirt?
what is the current state of the project?
what are they doing about climate change?
what is a screen reader?
what is now the default optimizer?
What did the judge just before him decide?
where is the exit in the map shown?
explain the chain rule
describe the architecture of the network
Tell me about the war in Vietnam
how does he explain the diagram of the cell?
what is the topic of her thesis?
What is the agenda of the party?
give me the recipe
What did he conclude about inflation?
at the end, what is the accuracy?
what does "overview effect" mean?
what does the word entropy mean?
who made this video?
when was this video recorded?
where was this film shot?
is this video about cats?
Does the video mention CLIP?
How long is this talk?
What language is used in this tutorial?
What camera was the video recorded with?
What is the name of the speaker in this talk?
how many people speak in the meeting?
What questions are asked in the meeting?
What did they decide in the meeting?
what is the speaker's name
what is the price of the meeting room?
who wrote the film's score?
what are the steps to install it?
what steps are needed to train the network?
what are the steps of photosynthesis?
What is the plot in the second figure?
what does he say in the summary slide?
what happens when the interview is over?
how many times did the phone ring?
What are the contents of the box?
How does he start the engine?
How does the story of Troy end?
what is the main problem with RNNs?
what are the three main types of attention?
What happens during training?
What happens in the second half?
What does she teach her students?
what happens next?
what did they talk about before?
what comes first, the chicken or the egg?
what is the last name of the speaker?
what is the first name of the host?
when is the first of May mentioned?
what is the most important parameter?
What are the key findings of the Lancet study?
what does the graph of the loss show?
how do we know when to stop training?
Where does she work now?
what is happening inside the cell during mitosis?
who is the current president?
what is this algorithm called that he uses for sorting?
why are all the weights shared?
What was said about the microphone data?
how many points did they score?
how many steps are there?
how many seconds does it take after pressing the button?
what is required before you can apply?
what should he have done before signing?
what does the function return after sorting?
what does the cell do after division?
what value does it take after the update?
is there anything after the credits?
who won after extra time?
which model is best overall?
list the hyperparameters
list three advantages of the method
outline of the cell membrane?
Who is the woman next to the car?
What is he holding in his left hand when he enters?
Explain how attention works
Explain why the sky is blue
describe the man with the hat
What kind of dog is it?
what kind of animal eats bamboo?
what is a lecture hall?
What time is the meeting tomorrow?
who attended the meeting?
when does the talk show start?
what is the film industry worth?
can you repeat the experiment with other data?
what's the summary statistic they use?
what are the topics of her two papers?
how is the video compressed?
How does the movie recommender work?
what is the meeting point?
what happens at the end of the loop?
what happens at the beginning of each epoch?
how does a story begin according to him?
what is the last thing you add to the dough?
"""


def lines(table: str) -> list[str]:
    return [line.strip() for line in table.strip().splitlines()]


@pytest.mark.parametrize("question", lines(WHOLE))
def test_the_whole_video(question):
    assert read(question) == Intent("whole", "")


@pytest.mark.parametrize("question", lines(NOW))
def test_the_moment_on_the_screen(question):
    assert read(question) == Intent("now", "")


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (kind, line)
        for kind, table in {
            "after": AFTER,
            "before": BEFORE,
            "first": FIRST,
            "last": LAST,
            "every": EVERY,
            "count": COUNT,
        }.items()
        for line in lines(table)
    ],
)
def test_a_kind_and_what_it_is_about(kind, line):
    question, about = line.split(" | ")
    assert read(question) == Intent(kind, about)


@pytest.mark.parametrize("question", lines(LOCAL))
def test_a_question_about_some_matter_stays_as_it_is(question):
    assert read(question) == Intent("local", question)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How does the film begin?", "first"),
        ("How does the talk start?", "first"),
        ("What is on the first slide?", "first"),
        ("What happens at the beginning of the video?", "first"),
        ("How does it end?", "last"),
        ("What is the last slide about?", "last"),
        ("What does she say at the end of the talk?", "last"),
        ("What are his closing words?", "last"),
        ("What is the last thing he says?", "last"),
    ],
)
def test_the_beginning_and_the_end_need_no_search(question, kind):
    assert read(question) == Intent(kind, "")


@pytest.mark.parametrize(
    "question",
    [
        "Why is that?",
        "Who is that?",
        "What does this mean?",
        "Explain that",
        "What is it about?",
        "Repeat that",
        "How does it end?",
    ],
)
def test_after_an_answer_a_word_that_points_means_the_answer(question):
    assert read(question, follows=True) == Intent("local", question)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What did she just say?", "now"),
        ("What is on the screen now?", "now"),
        ("Explain this slide", "now"),
        ("What is he doing right now?", "now"),
        ("What is this?", "now"),
        ("What is this video about?", "whole"),
        ("Summarise the talk", "whole"),
        ("What are the main points?", "whole"),
        ("List the steps", "whole"),
        ("How does the video end?", "last"),
    ],
)
def test_what_names_the_screen_or_the_video_means_it_after_an_answer_too(question, kind):
    assert read(question, follows=True) == Intent(kind, "")


def test_what_a_question_is_about_may_come_from_the_conversation():
    history = [Turn("What is gradient clipping?", "It limits the step [1:00].", Evidence("What is gradient clipping?"))]
    for question in ("When does she first mention it?", "How many times?", "What happens after he shows it?"):
        assert "gradient clipping" in resolve(read(question, follows=True).about, history).text
    assert resolve(read("And what comes after the demo of CLIP?").about, history).text == "the demo of CLIP"
    assert resolve(read("How often does he say “okay”?").about, history).text == "“okay”"


def test_questions_about_one_task_are_local(shared):
    questions = {one["question"] for one in json.loads((shared / "qa/tutorialvqa/dev.json").read_text())}
    assert sum(read(question).kind == "local" for question in questions) >= 0.98 * len(questions)


def test_a_meeting_is_summarised_whole_and_its_parts_are_searched(shared):
    meetings = [json.loads(line) for line in (shared / "qa/qmsum/val.jsonl").read_text().splitlines()]
    whole = [query["query"] for meeting in meetings for query in meeting["general_query_list"]]
    parts = [query["query"] for meeting in meetings for query in meeting["specific_query_list"]]
    assert sum(read(question).kind == "whole" for question in whole) >= 0.95 * len(whole)
    assert sum(read(question).kind == "local" for question in parts) >= 0.98 * len(parts)


@pytest.mark.parametrize("question", ["", "   ", "???", "ok", "a" * 100_000, "when is " * 2_000 + "first mentioned"])
def test_anything_may_be_asked(question):
    assert read(question) == Intent("local", question)


def test_a_model_is_told_every_kind_and_asked_the_question():
    messages = ask("What is it about?")
    assert all(f"{kind} = " in messages[0]["content"] for kind in KINDS)
    assert messages[-1] == {"role": "user", "content": "What is it about?"}


QUESTION = "What does he do right after he opens the Box?"


@pytest.mark.parametrize(
    ("answer", "decided"),
    [
        ("after: he opens the box", Intent("after", "he opens the Box")),
        (" After: “he opens the box.” \n", Intent("after", "he opens the Box")),
        ("local: -", Intent("local", QUESTION)),
        ("local", Intent("local", QUESTION)),
        ("whole: the box", Intent("whole", "")),
        ("now", Intent("now", "")),
    ],
)
def test_what_a_model_decides(answer, decided):
    assert parse(answer, QUESTION) == decided


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "after",
        "after: -",
        "first:",
        "count: he he",
        "after: the box is opened",
        "first: box he",
        "later: he opens the box",
        "KIND: WORDS",
        "The kind is after: he opens the box",
        "after: he opens\nthe box",
        "local: - because\nit is a fact",
        '{"kind": "whole"}',
    ],
)
def test_what_a_model_cannot_decide_is_left_to_the_rules(answer):
    assert parse(answer, QUESTION) is None
